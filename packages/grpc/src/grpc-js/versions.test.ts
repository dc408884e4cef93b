import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const require = createRequire(import.meta.url);

/** The newest supported grpc-js, and the oldest where that is installed under the name `grpc-js-lowest`. */
const modules = ["@grpc/grpc-js", "grpc-js-lowest"].filter((name) => {
  try {
    return require.resolve(name) !== "";
  } catch {
    return false;
  }
});

const smoke = new URL("./testing/smoke.ts", import.meta.url).pathname;

test.each(modules)("applications on %s run on our transport", async (module) => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=@weft/source", smoke, module]);
  expect(JSON.parse(stdout)).toEqual({
    unary: ["DNS:client", 0, ["t"]],
    error: [5, "nothing", [1, 2]],
    collect: "ab",
    expand: ["a", "b", "c"],
    chat: ["x"],
    paths: 4,
    intercepted: 10,
  });
});
