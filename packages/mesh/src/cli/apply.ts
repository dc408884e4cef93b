import { Command, Option } from "commander";
import type { ChangeResult } from "../admin/api-types.ts";
import { admin, printDiagnostics } from "./admin-options.ts";
import { readDocuments } from "./documents.ts";
import { CommandFailure } from "./failure.ts";
import { dataOption, namespaceOption, outputOption } from "./options.ts";
import type { OutputFormat } from "./output.ts";
import { waitUntilSynced } from "./wait.ts";

interface ApplyFlags {
  readonly filename: readonly string[];
  readonly data: string;
  readonly namespace?: string;
  readonly dryRun: boolean;
  readonly wait: boolean | string;
  readonly output: OutputFormat;
}

export function applyCommand(): Command {
  return new Command("apply")
    .description("apply documents to the store: all of them, or none where one has an error")
    .addOption(filenameOption().makeOptionMandatory())
    .addOption(dataOption())
    .addOption(namespaceOption())
    .option("--dry-run", "say what would happen and keep nothing", false)
    .option("--wait [seconds]", "wait until every connected client runs what follows from it (default 30)", false)
    .addOption(outputOption(["text", "json"]))
    .action(async (flags: ApplyFlags) => {
      const files = await readDocuments(flags.filename);
      const client = admin(flags.data);
      const result = await client.apply({ files, defaultNamespace: flags.namespace, dryRun: flags.dryRun });
      printChange(result, flags.output, flags.dryRun ? " (dry run)" : "");
      if (flags.wait !== false && !flags.dryRun)
        await waitUntilSynced(client, flags.wait === true ? 30 : Number(flags.wait));
    });
}

export function filenameOption(): Option {
  return new Option("-f, --filename <path>", "a file, a directory of .yaml files, or - for standard input").argParser(
    (path: string, previous: readonly string[] | undefined) => [...(previous ?? []), path],
  );
}

/** Prints what became of a change; a refused one is a failure. */
export function printChange(result: ChangeResult, format: OutputFormat, suffix: string): void {
  if (format === "json") process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else printDiagnostics(result.diagnostics);
  if (result.kind === "refused") {
    throw new CommandFailure("nothing was changed", { hint: "mend the errors above; one refuses the whole batch" });
  }
  if (format === "json") return;
  for (const { kind, namespace, name, change } of result.outcomes) {
    process.stdout.write(`${kind.toLowerCase()} ${namespace}/${name} ${change}${suffix}\n`);
  }
}
