// biome.json, derived from the table of levels.
import { confined, levels, packageImports } from "./levels.ts";

const ours = ["@weft/xds-api", "@weft/grpc", "@weft/grpc/grpc-js", "@weft/grpc/platform", "@weft/mesh"];

interface Pattern {
  group: string[];
  message: string;
}

function restriction(includes: string[], patterns: Pattern[]): object {
  return {
    includes,
    linter: { rules: { style: { noRestrictedImports: { level: "error", options: { patterns } } } } },
  };
}

/** What every source of the package may not import, whichever folder it is in. */
function packagePatterns(packageRoot: string, folder: string): Pattern[] {
  const allowed = packageImports[packageRoot] ?? [];
  const refused = ours.filter((name) => !allowed.includes(name));
  const heavy = confined
    .filter((rule) => rule.package === packageRoot && rule.within !== folder)
    .flatMap((rule) => [rule.module, `${rule.module}/**`]);
  return [
    { group: refused, message: "this package may not import that one: see scripts/levels.ts" },
    ...(heavy.length > 0 ? [{ group: heavy, message: "only one folder may import this: see scripts/levels.ts" }] : []),
  ].filter((pattern) => pattern.group.length > 0);
}

function folderOverrides(packageRoot: string): object[] {
  const table = levels[packageRoot] ?? {};
  return Object.entries(table).map(([folder, level]) => {
    const higher = Object.entries(table).filter(([other, otherLevel]) => other !== folder && otherLevel >= level);
    const group = higher.map(([other]) => `**/../${other}/**`);
    const patterns = packagePatterns(packageRoot, folder);
    if (group.length > 0) {
      patterns.push({
        group,
        message: `${folder}/ is on level ${level}; imports go to smaller levels only: see scripts/levels.ts`,
      });
    }
    return restriction([`${packageRoot}/${folder}/**/*.ts`, `!${packageRoot}/**/*.test.ts`], patterns);
  });
}

export function biomeConfig(): object {
  return {
    $schema: "./node_modules/@biomejs/biome/configuration_schema.json",
    vcs: { enabled: true, clientKind: "git", useIgnoreFile: true },
    files: { includes: ["**", "!**/dist", "!**/gen", "!**/*.xds.json"] },
    formatter: { enabled: true, indentStyle: "space", indentWidth: 2, lineWidth: 120 },
    linter: {
      enabled: true,
      rules: {
        preset: "recommended",
        complexity: { useLiteralKeys: "off" },
        correctness: { noUnusedImports: "error", noUnusedVariables: "error", noUnusedFunctionParameters: "off" },
        style: {
          noDefaultExport: "error",
          useImportType: "error",
          noNonNullAssertion: "off",
          useNodejsImportProtocol: "error",
        },
        suspicious: { noImportCycles: "error", noExplicitAny: "error", noEmptyBlockStatements: "error" },
      },
    },
    overrides: [
      // As JSON.stringify writes it, so that what is generated is what the formatter leaves.
      { includes: ["biome.json"], json: { formatter: { expand: "always" } } },
      {
        includes: ["**/vitest.config.ts", "scripts/closing-line.ts"],
        linter: { rules: { style: { noDefaultExport: "off" } } },
      },
      ...Object.keys(levels).flatMap(folderOverrides),
    ],
  };
}
