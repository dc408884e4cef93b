import { Command } from "commander";
import { admin } from "./admin-options.ts";
import { dataOption, outputOption } from "./options.ts";
import { type OutputFormat, print, printJson, table } from "./output.ts";

export function interfacesCommand(): Command {
  return new Command("interfaces")
    .description("the interfaces that clients can dial by name, whose they are, and how many instances serve them")
    .addOption(dataOption())
    .addOption(outputOption(["text", "json"]))
    .action(async (flags: { readonly data: string; readonly output: OutputFormat }) => {
      const interfaces = await admin(flags.data).interfaces();
      if (flags.output === "json") {
        printJson(interfaces);
        return;
      }
      const rows = interfaces.map(({ name, namespace, instances }) => [name, namespace, String(instances.length)]);
      print(table(["INTERFACE", "NAMESPACE", "INSTANCES"], rows, "no interface has been exported"));
    });
}
