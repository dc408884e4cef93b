import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const packages = join(import.meta.dirname, "..", "..", "packages");

/** The files that `npm publish` would take. */
function published(name: string): string[] {
  const text = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: join(packages, name),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  // An array, or since npm 12 an object by the packages' names.
  const [packed] = Object.values(JSON.parse(text) as Record<string, { readonly files: { readonly path: string }[] }>);
  return packed!.files.map((file) => file.path);
}

test("an installed weft has the documents that its demo applies", () => {
  const documents = readdirSync(join(packages, "mesh", "documents")).map((name) => `documents/${name}`);
  expect(documents.length).toBeGreaterThan(0);
  expect(published("mesh")).toEqual(expect.arrayContaining(documents));
});
