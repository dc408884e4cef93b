// Bundles what @weft/grpc's exports name into packages/grpc/dist/bundle (docs/decisions/0010): a module costs about half a
// millisecond to find and load, and a plain client has some ninety. Entries share chunks, so that classes and the state of
// a module stay one in a process; what is imported dynamically stays apart. Declarations are tsc's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Plugin, type RolldownOutput, rolldown } from "rolldown";

const packageFolder = join(import.meta.dirname, "..", "packages", "grpc");

/** The subpaths of `exports`, by the name of their file. */
function entries(): Record<string, string> {
  const { exports } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, { readonly "@weft/source": string; readonly default: string }>>;
  };
  const byName: Record<string, string> = {};
  for (const { "@weft/source": source, default: bundled } of Object.values(exports)) {
    const [, name] = /^\.\/dist\/bundle\/(.+)\.js$/.exec(bundled) ?? [];
    if (name === undefined)
      throw new Error(`packages/grpc/package.json: the default of an export is no bundle: ${bundled}`);
    byName[name] = join(packageFolder, source);
  }
  return byName;
}

/**
 * Asks for Node's modules by `process.getBuiltinModule`. An `import` makes a namespace of all that a module exports and looks at
 * each for it, which loads what some of them stand for (net's BlockList): 2 to 3 ms of a process's start.
 */
const builtinsWithoutNamespace: Plugin = {
  name: "builtins-without-namespace",
  renderChunk(code) {
    const asked = code.replace(
      /^import \{ ([^}]+) \} from "(node:[^"]+)";$/gm,
      (_, names: string, module: string) =>
        `const { ${names.replaceAll(" as ", ": ")} } = process.getBuiltinModule("${module}");`,
    );
    return { code: asked, map: null };
  },
};

/** Writes the bundles to `folder`, and returns what they are. */
export async function bundle(folder = join(packageFolder, "dist", "bundle")): Promise<RolldownOutput> {
  const bundler = await rolldown({
    input: entries(),
    cwd: packageFolder,
    platform: "node",
    tsconfig: false,
    // Dependencies and peers are the application's to install, and to share with it.
    external: (id) => !id.startsWith(".") && !id.startsWith("/"),
    transform: { target: "es2024" },
    plugins: [builtinsWithoutNamespace],
  });
  try {
    return await bundler.write({
      dir: folder,
      cleanDir: true,
      format: "esm",
      sourcemap: true,
      entryFileNames: "[name].js",
      chunkFileNames: "[name]-[hash].js",
      comments: false,
      // Saves 2 ms of a process's start, most of which is parsing. Names stay: stack traces have them.
      minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
      // What a plain client or server needs is one file, whichever entry it comes by. The numbers that channelz and the
      // surface of grpc-js share would be a file of their own.
      codeSplitting: {
        groups: [{ name: "transport", test: /[\\/]src[\\/](?:index|services[\\/]channelz-ids)\.ts$/ }],
      },
    });
  } finally {
    await bundler.close();
  }
}

if (import.meta.main) await bundle();
