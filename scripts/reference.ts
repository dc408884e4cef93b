// The reference pages that are made from code. Run as a program (with --conditions=@weft/source) it prints them as JSON, path → text;
// scripts/check.ts compares them with what is committed, or writes them with --write.
import type { Command } from "commander";
import { program } from "../packages/mesh/src/cli/program.ts";
import { diagnosticCodes } from "../packages/mesh/src/model/diagnostic-codes.ts";

const helpWidth = 110;

const ranges: Readonly<Record<string, string>> = {
  "00": "Text and schema",
  "01": "References between resources",
  "02": "Registrations and interfaces",
  "03": "Files, ports and start-up",
  "04": "Tokens and credentials",
  "05": "The admin API",
};

function diagnosticsPage(): string {
  const sections = Object.entries(ranges).map(([range, title]) => {
    const codes = Object.entries(diagnosticCodes).filter(([code]) => code.startsWith(`WEFT${range}`));
    return `## ${title}\n\n${codes.map(([code, { title: what, remedy }]) => `### ${code}: ${what}\n\n${remedy}\n`).join("\n")}`;
  });
  return `# Diagnostics

Made from packages/mesh/src/model/diagnostic-codes.ts by \`npm run check -- --write\`.

A diagnostic is printed as \`file:line:column: error WEFT0010: message (hint)\`. An error keeps its document, and nothing else, out of
force; a warning keeps nothing out. A code never changes its meaning and is never used again.

${sections.join("\n")}`;
}

/** The help of a command as a terminal of `helpWidth` columns shows it. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => helpWidth,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trimEnd();
}

function commandSections(command: Command, path: string): string[] {
  const shown = command.createHelp().visibleCommands(command);
  const children = shown.filter((child) => child.name() !== "help");
  const own = `${"#".repeat(path.split(" ").length)} ${path}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`;
  return [own, ...children.flatMap((child) => commandSections(child, `${path} ${child.name()}`))];
}

function cliPage(): string {
  const [first = "", ...rest] = commandSections(program(), "weft");
  const intro =
    "Made from packages/mesh/src/cli by `npm run check -- --write`: what `--help` prints, command by command.";
  return [first.replace("# weft\n", `# weft\n\n${intro}\n`), ...rest].join("\n");
}

process.stdout.write(
  JSON.stringify({ "docs/reference/diagnostics.md": diagnosticsPage(), "docs/reference/cli.md": cliPage() }),
);
