import { defineConfig, mergeConfig } from "vitest/config";
import base from "../../vitest.config.ts";

const config = mergeConfig(base, defineConfig({}));
// Not merged but replaced: the base excludes these files.
config["test"] = {
  ...config["test"],
  include: ["test/interop/**/*.test.ts"],
  exclude: ["**/node_modules/**"],
  testTimeout: 120_000,
  hookTimeout: 300_000,
};

export default config;
