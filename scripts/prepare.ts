// Runs after `npm install`: makes the generated code, so that every script works at once.
// Skipped where the development dependencies are absent (an install of the packages alone).
import { existsSync } from "node:fs";
import { join } from "node:path";

if (existsSync(join(import.meta.dirname, "..", "node_modules", "@bufbuild", "buf"))) await import("./generate.ts");
