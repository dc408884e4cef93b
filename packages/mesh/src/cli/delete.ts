import { Command } from "commander";
import type { ResourceKey } from "../admin/api-types.ts";
import { parseDocuments } from "../model/parse.ts";
import { admin, printDiagnostics } from "./admin-options.ts";
import { filenameOption, printChange } from "./apply.ts";
import { readDocuments } from "./documents.ts";
import { CommandFailure } from "./failure.ts";
import { parseKind } from "./get.ts";
import { dataOption, namespaceOption, outputOption } from "./options.ts";
import type { OutputFormat } from "./output.ts";

interface DeleteFlags {
  readonly filename?: readonly string[];
  readonly data: string;
  readonly namespace: string;
  readonly output: OutputFormat;
}

export function deleteCommand(): Command {
  return new Command("delete")
    .description("delete resources from the store: by kind and name, or those that files name")
    .argument("[kind]", "service, destinationrule, virtualservice or peerauthentication")
    .argument("[names...]")
    .addOption(filenameOption())
    .addOption(dataOption())
    .addOption(namespaceOption("default"))
    .addOption(outputOption(["text", "json"]))
    .action(async (kind: string | undefined, names: readonly string[], flags: DeleteFlags) => {
      const keys = flags.filename === undefined ? named(kind, names, flags.namespace) : await inFiles(flags);
      printChange(await admin(flags.data).delete(keys), flags.output, "");
    });
}

function named(kind: string | undefined, names: readonly string[], namespace: string): ResourceKey[] {
  if (kind === undefined || names.length === 0) {
    throw new CommandFailure("nothing to delete was named", {
      hint: "weft delete <kind> <name>… or -f <file>",
      exitCode: 2,
    });
  }
  return names.map((name) => ({ kind: parseKind(kind), namespace, name }));
}

async function inFiles(flags: DeleteFlags): Promise<ResourceKey[]> {
  const keys: ResourceKey[] = [];
  for (const { file, text } of await readDocuments(flags.filename ?? [])) {
    const { resources, diagnostics } = parseDocuments(text, file, { defaultNamespace: flags.namespace });
    printDiagnostics(diagnostics);
    if (diagnostics.some(({ severity }) => severity === "error")) throw new CommandFailure("nothing was deleted");
    keys.push(...resources.map(({ kind, namespace, name }) => ({ kind, namespace, name })));
  }
  return keys;
}
