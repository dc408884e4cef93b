import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { levels } from "./levels.ts";

const root = join(import.meta.dirname, "..");
const page = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");

test("every file that ARCHITECTURE.md names is there", () => {
  const named = [...page.matchAll(/`((?:mesh|grpc)\/[\w/.-]+\.ts)`/g)].map(([, path = ""]) => path);
  const missing = named.filter((path) => !existsSync(join(root, "packages", path.replace("/", "/src/"))));
  expect(named.length).toBeGreaterThan(50);
  expect(missing).toEqual([]);
});

test("the tree of ARCHITECTURE.md has every folder, on its level", () => {
  const shown = [...page.matchAll(/^ {2}([\w-]+)\/ +(\d+) /gm)].map(([, folder, level]) => `${folder} ${level}`);
  const packages = Object.entries(levels).flatMap(([source, folders]) =>
    Object.entries(folders).flatMap(([folder, level]) =>
      existsSync(join(root, source, folder)) ? [`${folder} ${level}`] : [],
    ),
  );
  expect(shown.sort()).toEqual(packages.sort());
});

test("ARCHITECTURE.md lists every decision by its title", () => {
  for (const file of readdirSync(join(root, "docs", "decisions"))) {
    const [, title = ""] = /^# \d{4}: (.*)/.exec(readFileSync(join(root, "docs", "decisions", file), "utf8")) ?? [];
    expect(page).toContain(`(docs/decisions/${file}): ${title}`);
  }
});
