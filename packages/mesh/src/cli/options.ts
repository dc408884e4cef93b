import { homedir } from "node:os";
import { join } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import type { OutputFormat } from "./output.ts";

/** Where a control plane keeps its state, and where the CLI finds the credential to talk to it. */
export function dataOption(): Option {
  return new Option("--data <dir>", "the control plane's data directory")
    .env("WEFT_DATA")
    .default(join(homedir(), ".weft"), "~/.weft");
}

export function outputOption(formats: readonly OutputFormat[]): Option {
  return new Option("-o, --output <format>", "output format").choices(formats).default("text");
}

export function namespaceOption(fallback?: string): Option {
  const option = new Option("-n, --namespace <namespace>", "of resources that don't say theirs, or the one to look in");
  return fallback === undefined ? option : option.default(fallback);
}

/** `k=v,k2=v2`, possibly given several times, as one record. */
export function collectLabels(text: string, previous: Readonly<Record<string, string>> = {}): Record<string, string> {
  const labels: Record<string, string> = { ...previous };
  for (const pair of text.split(",")) {
    const at = pair.indexOf("=");
    if (at < 1) throw new InvalidArgumentError(`"${pair}" is not key=value`);
    labels[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return labels;
}
