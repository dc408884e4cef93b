import { Command, InvalidArgumentError, Option } from "commander";
import type { ChangeResult } from "../admin/api-types.ts";
import { admin, printDiagnostics } from "./admin-options.ts";
import { readDocuments } from "./documents.ts";
import { CommandFailure } from "./failure.ts";
import { dataOption, namespaceOption, outputOption } from "./options.ts";
import { type OutputFormat, print, printJson } from "./output.ts";
import { waitUntilSynced } from "./wait.ts";

interface ApplyFlags {
  readonly filename: readonly string[];
  readonly data: string;
  readonly namespace?: string;
  readonly dryRun: boolean;
  readonly wait?: number;
  readonly output: OutputFormat;
}

export function applyCommand(): Command {
  return new Command("apply")
    .description("apply documents to the store: all of them, or none where one has an error")
    .addOption(filenameOption().makeOptionMandatory())
    .addOption(dataOption())
    .addOption(namespaceOption())
    .option("--dry-run", "say what would happen and keep nothing", false)
    .addOption(
      new Option("--wait [seconds]", "wait until every connected client runs what follows from it")
        .argParser(parseSeconds)
        .preset("30"),
    )
    .addOption(outputOption(["text", "json"]))
    .action(async (flags: ApplyFlags) => {
      const files = await readDocuments(flags.filename);
      const client = admin(flags.data);
      const result = await client.apply({ files, defaultNamespace: flags.namespace, dryRun: flags.dryRun });
      printChange(result, flags.output, flags.dryRun ? " (dry run)" : "");
      if (flags.wait !== undefined && !flags.dryRun) await waitUntilSynced(client, flags.wait);
    });
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds <= 0) throw new InvalidArgumentError("use a number of seconds");
  return seconds;
}

export function filenameOption(): Option {
  return new Option("-f, --filename <path>", "a file, a directory of .yaml files, or - for standard input").argParser(
    (path: string, previous: readonly string[] | undefined) => [...(previous ?? []), path],
  );
}

/** Prints what became of a change; a refused one is a failure. */
export function printChange(result: ChangeResult, format: OutputFormat, suffix: string): void {
  if (format === "json") printJson(result);
  else printDiagnostics(result.diagnostics);
  if (result.kind === "refused") {
    throw new CommandFailure("nothing was changed", { hint: "mend the errors above; one refuses the whole batch" });
  }
  if (format === "json") return;
  for (const { kind, namespace, name, change } of result.outcomes) {
    print(`${kind.toLowerCase()} ${namespace}/${name} ${change}${suffix}\n`);
  }
}
