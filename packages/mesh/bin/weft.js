#!/usr/bin/env node
// The launcher of `weft`. Installed from a package it runs dist/; in a checkout it runs the TypeScript sources, so that nothing
// stale is ever started. Plain JavaScript that Node 20 can read, because it must be able to say that Node 20 is too old.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as module from "node:module";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const tooOld = major < 22 || (major === 22 && minor < 18);
const sources = new URL("../src/main.ts", import.meta.url);
const built = new URL("../dist/main.js", import.meta.url);
const pinnedNode = fileURLToPath(new URL("../../../node_modules/node/bin/node", import.meta.url));

if (!tooOld) {
  if (existsSync(sources)) {
    // The workspace's packages resolve to their sources too.
    module.registerHooks({
      resolve: (specifier, context, next) =>
        next(specifier, { ...context, conditions: [...context.conditions, "@weft/source"] }),
    });
    await import(sources.href);
  } else {
    await import(built.href);
  }
} else if (existsSync(sources) && existsSync(pinnedNode)) {
  // node_modules/.bin/weft called directly: the shebang found the system's Node, the checkout has the right one.
  const child = spawn(pinnedNode, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    if (signal !== null) process.removeAllListeners(signal);
    if (signal !== null) process.kill(process.pid, signal);
    else process.exit(code ?? 1);
  });
} else {
  process.stderr.write(`weft needs Node 22.18 or newer; this is ${process.version}\n`);
  process.exit(1);
}
