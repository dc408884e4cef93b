/**
 * Modules of Node that a plaintext call does without. Each is loaded when it is first asked for, because loading all of them
 * takes longer than everything else from a client's import to its first reply (docs/decisions/0010).
 *
 * An `import` would load them with this package, and an `import()` would make callers asynchronous. What an application
 * may load with its entry takes functions of these modules from here, within functions; types by `import type`.
 */
export const lateBuiltins = {
  get crypto() {
    return process.getBuiltinModule("node:crypto");
  },
  get dns() {
    return process.getBuiltinModule("node:dns/promises");
  },
  /** Node has it loaded, but for `promises` and what that needs: looking at it loads them. */
  get fs() {
    return process.getBuiltinModule("node:fs");
  },
  get module() {
    return process.getBuiltinModule("node:module");
  },
  get tls() {
    return process.getBuiltinModule("node:tls");
  },
  get workers() {
    return process.getBuiltinModule("node:worker_threads");
  },
  get zlib() {
    return process.getBuiltinModule("node:zlib");
  },
};
