import { Command } from "commander";
import type { ResourceView } from "../admin/api-types.ts";
import { resourceKinds } from "../model/resource.ts";
import { admin } from "./admin-options.ts";
import { CommandFailure } from "./failure.ts";
import { dataOption, namespaceOption, outputOption } from "./options.ts";
import { type OutputFormat, print, table } from "./output.ts";

interface GetFlags {
  readonly data: string;
  readonly namespace?: string;
  readonly output: OutputFormat;
}

/** The forms in which people write a kind, as kubectl taught them. */
const shortForms: Readonly<Record<string, string>> = {
  svc: "Service",
  dr: "DestinationRule",
  vs: "VirtualService",
  pa: "PeerAuthentication",
};

/** The kind that `text` means: any case, singular or plural, or the short form. */
export function parseKind(text: string): string {
  const wanted = text.toLowerCase();
  const kind = resourceKinds.find((one) => [one.toLowerCase(), `${one.toLowerCase()}s`].includes(wanted));
  const found = kind ?? shortForms[wanted];
  if (found !== undefined) return found;
  const known = [...resourceKinds.map((one) => one.toLowerCase()), ...Object.keys(shortForms)].join(", ");
  throw new CommandFailure(`there is no kind "${text}"`, { hint: `one of ${known}`, exitCode: 2 });
}

export function getCommand(): Command {
  return new Command("get")
    .description("show the resources in force, from files and store")
    .argument("[kind]", "service, destinationrule, virtualservice or peerauthentication; all without it")
    .argument("[name]")
    .addOption(dataOption())
    .addOption(namespaceOption())
    .addOption(outputOption(["text", "json", "yaml"]))
    .action(async (kind: string | undefined, name: string | undefined, flags: GetFlags) => {
      const filter = {
        ...(kind === undefined ? {} : { kind: parseKind(kind) }),
        ...(flags.namespace === undefined ? {} : { namespace: flags.namespace }),
      };
      const all = await admin(flags.data).resources(filter);
      const found = name === undefined ? all : all.filter((resource) => resource.name === name);
      if (name !== undefined && found.length === 0) {
        throw new CommandFailure(`there is no ${kind === undefined ? "resource" : parseKind(kind)} ${name}`, {
          hint: "weft get shows what there is",
        });
      }
      print(format(found, flags.output));
    });
}

function format(resources: readonly ResourceView[], output: OutputFormat): string {
  if (output === "json") return `${JSON.stringify(resources, null, 2)}\n`;
  if (output === "yaml")
    return resources
      .map(({ text }) => text.trimEnd())
      .join("\n---\n")
      .concat("\n");
  const rows = resources.map(({ kind, namespace, name, origin }) => [
    kind,
    namespace,
    name,
    origin.kind === "file" ? origin.file : "store",
  ]);
  return table(["KIND", "NAMESPACE", "NAME", "FROM"], rows, "no resources");
}
