import { Command, InvalidArgumentError, Option } from "commander";
import { admin } from "./admin-options.ts";
import { collectLabels, dataOption, outputOption } from "./options.ts";
import { type OutputFormat, print, printJson, table } from "./output.ts";

interface CreateFlags {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly anyLabel: boolean;
  readonly address?: readonly string[];
  readonly ttl: number;
  readonly uses?: number;
  readonly data: string;
  readonly output: OutputFormat;
}

interface ListFlags {
  readonly data: string;
  readonly output: OutputFormat;
}

export function tokenCommand(): Command {
  return new Command("token")
    .description("join tokens: with one, a process joins the mesh as a service account")
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(revokeCommand());
}

function createCommand(): Command {
  return new Command("create")
    .description("make a token; it is shown this once")
    .requiredOption("--namespace <namespace>", "the namespace that its processes join")
    .requiredOption("--service-account <name>", "the service account that they become")
    .addOption(
      new Option(
        "--label <k=v>",
        "labels that all of them carry, and no others unless --any-label (repeatable, or k=v,k=v)",
      ).argParser(collectLabels),
    )
    .option("--any-label", "they may carry whatever other labels they say", false)
    .addOption(new Option("--address <cidr...>", "where their addresses may lie, beside the one they connect from"))
    .addOption(
      new Option("--ttl <duration>", "how long it can be used to join").argParser(parseTtl).default(3_600_000, "1h"),
    )
    .addOption(
      new Option("--uses <n>", "how many processes may join with it (default: any number)").argParser(parseUses),
    )
    .addOption(dataOption())
    .addOption(outputOption(["text", "json"]))
    .action(async (flags: CreateFlags) => {
      const created = await admin(flags.data).createToken({
        namespace: flags.namespace,
        serviceAccount: flags.serviceAccount,
        labels: flags.label,
        anyLabel: flags.anyLabel,
        addresses: flags.address,
        ttlMs: flags.ttl,
        uses: flags.uses,
      });
      // The bare token, so that WEFT_TOKEN=$(weft token create …) works.
      process.stdout.write(flags.output === "json" ? `${JSON.stringify(created)}\n` : `${created.token}\n`);
    });
}

function listCommand(): Command {
  return new Command("list")
    .description("the tokens that can be used")
    .addOption(dataOption())
    .addOption(outputOption(["text", "json"]))
    .action(async (flags: ListFlags) => {
      const tokens = await admin(flags.data).tokens();
      if (flags.output === "json") {
        printJson(tokens);
        return;
      }
      const rows = tokens.map((token) => [
        token.id,
        `${token.namespace}/${token.serviceAccount}`,
        [...Object.entries(token.labels).map((pair) => pair.join("=")), ...(token.anyLabel ? ["*"] : [])].join(","),
        token.addresses.join(","),
        new Date(token.expiresMs).toISOString(),
        token.usesLeft === undefined ? "any" : String(token.usesLeft),
      ]);
      print(table(["ID", "JOINS AS", "LABELS", "ADDRESSES", "EXPIRES", "USES LEFT"], rows, "no tokens"));
    });
}

function revokeCommand(): Command {
  return new Command("revoke")
    .description("take a token out of use; processes that joined with it stay")
    .argument("<id>")
    .addOption(dataOption())
    .action(async (id: string, flags: { readonly data: string }) => {
      await admin(flags.data).revokeToken(id);
      print(`token ${id} revoked\n`);
    });
}

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseTtl(text: string): number {
  const [, amount, unit = ""] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const unitMs = unitsMs[unit];
  if (amount === undefined || unitMs === undefined)
    throw new InvalidArgumentError("use a number and s, m, h or d, e.g. 30m");
  return Number(amount) * unitMs;
}

function parseUses(text: string): number {
  const uses = Number(text);
  if (!Number.isInteger(uses) || uses < 1) throw new InvalidArgumentError("use a whole number from 1");
  return uses;
}
