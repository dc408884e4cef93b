import { join } from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  ssr: { resolve: { conditions: ["@weft/source", "module", "node"], externalConditions: ["@weft/source", "node"] } },
  test: {
    include: ["packages/*/src/**/*.test.ts", "test/**/*.test.ts", "scripts/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "test/interop/**"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: "forks",
    // Tests are on this machine, which a developer's proxy is not for.
    env: { grpc_proxy: "", https_proxy: "", http_proxy: "" },
    reporters: ["default", join(import.meta.dirname, "scripts", "closing-line.ts")],
  },
});
