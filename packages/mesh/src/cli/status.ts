import { shortTypeName } from "@weft/xds-api";
import { Command } from "commander";
import type { StatusReport } from "../admin/api-types.ts";
import { formatDiagnostic } from "../model/diagnostic.ts";
import { admin } from "./admin-options.ts";
import { dataOption, outputOption } from "./options.ts";
import { type OutputFormat, printable, printJson, styled, table } from "./output.ts";
import { overallState } from "./wait.ts";

export function statusCommand(): Command {
  return new Command("status")
    .description("the control plane, what every client runs, who is registered, and what is wrong")
    .addOption(dataOption())
    .addOption(outputOption(["text", "json"]))
    .action(async (flags: { readonly data: string; readonly output: OutputFormat }) => {
      const status = await admin(flags.data).status();
      if (flags.output === "json") printJson(status);
      else process.stdout.write(statusText(status));
    });
}

/** The report as a person reads it, without anything from outside that a terminal would obey. */
export function statusText(status: StatusReport): string {
  const sections = [
    controlPlane(status),
    clients(status),
    workloads(status),
    unanswerable(status),
    diagnostics(status),
  ];
  return sections.filter((section) => section !== "").join("\n");
}

function controlPlane(status: StatusReport): string {
  const ports = status.ports.map(({ name, address }) => `${name} ${address}`).join(", ");
  const expiries = status.certificates.map(
    ({ name, notAfterMs }) => `${name} ${new Date(notAfterMs).toISOString().slice(0, 10)}`,
  );
  return `control plane ${status.version}, pid ${status.pid}, trust domain ${status.trustDomain}
  ports: ${ports}
  certificates until: ${expiries.join(", ")}
`;
}

function clients(status: StatusReport): string {
  const rows = status.clients.map((client) => [
    client.node.id,
    client.identity ?? "(plaintext)",
    `${client.node.userAgentName} ${client.node.userAgentVersion}`.trim(),
    ...["LDS", "RDS", "CDS", "EDS"].map((short) => {
      const type = client.types.find(({ typeUrl }) => shortTypeName(typeUrl) === short);
      return type === undefined ? "-" : type.state;
    }),
  ]);
  const refused = status.clients.flatMap((client) =>
    client.types.flatMap((type) =>
      type.nack === undefined
        ? []
        : [printable(`  ${client.node.id} refused ${shortTypeName(type.typeUrl)}: ${type.nack.reason}`)],
    ),
  );
  const synced = status.clients.filter((client) => overallState(client) === "SYNCED").length;
  return `${styled("bold", `clients (${synced} of ${status.clients.length} synced)`)}
${table(["CLIENT", "IDENTITY", "AGENT", "LDS", "RDS", "CDS", "EDS"], rows, "no client is connected")}${refused.map((line) => `${line}\n`).join("")}`;
}

function workloads(status: StatusReport): string {
  const rows = status.workloads.flatMap((workload) =>
    workload.listeners.map((listener) => [
      workload.displayName,
      workload.spiffeId,
      `${workload.address}:${listener.port}`,
      listener.portName,
      workload.state === "LIVE" ? listener.state : `${listener.state} (${workload.state.toLowerCase()})`,
      Object.entries(workload.labels)
        .map((pair) => pair.join("="))
        .join(","),
      listener.interfaces.join(" "),
    ]),
  );
  return `${styled("bold", "workloads")}
${table(["WORKLOAD", "IDENTITY", "ADDRESS", "PORT", "STATE", "LABELS", "INTERFACES"], rows, "nothing is registered")}`;
}

function unanswerable(status: StatusReport): string {
  if (status.unanswerable.length === 0) return "";
  const lines = status.unanswerable.map(({ typeUrl, name, missing, servesOlder }) => {
    const wanted = missing.map((one) => `${shortTypeName(one.typeUrl)} ${one.name}`).join(", ");
    const meanwhile = servesOlder ? "clients keep the form before" : "calls that take it fail";
    return printable(`  ${shortTypeName(typeUrl)} ${name} leads to ${wanted}, which can't be answered; ${meanwhile}`);
  });
  return `${styled("bold", "can't be answered")}\n${lines.join("\n")}\n`;
}

function diagnostics(status: StatusReport): string {
  if (status.diagnostics.length === 0) return "";
  const lines = status.diagnostics.map((diagnostic) => printable(`  ${formatDiagnostic(diagnostic)}`));
  return `${styled("bold", "diagnostics")}\n${lines.join("\n")}\n`;
}
