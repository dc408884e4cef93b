// The one table of who may import whom. A folder imports folders of a smaller level only; siblings don't import each other.
// scripts/check.ts writes biome's import rules from it and fails when biome.json differs.

/** Folder (below the package's src) → level. Entry files sit above every folder. */
export const levels: Record<string, Record<string, number>> = {
  "packages/grpc/src": {
    http2: 1,
    identity: 1,
    matching: 1,
    rpc: 2,
    subchannel: 3,
    filters: 3,
    routing: 4,
    balancing: 4,
    channel: 5,
    server: 5,
    "control-plane": 6,
    xds: 7,
    services: 7,
    registration: 8,
    "grpc-js": 9,
    connect: 9,
  },
  "packages/mesh/src": {
    model: 1,
    authn: 1,
    translate: 2,
    discovery: 2,
    ca: 2,
    store: 2,
    sources: 3,
    registry: 3,
    catalog: 3,
    agent: 3,
    echo: 3,
    admin: 4,
    cli: 6,
    demo: 5,
  },
};

/** Packages that a package's sources may import beside relative paths; everything of ours that is missing here is refused. */
export const packageImports: Record<string, readonly string[]> = {
  "packages/xds-api/src": [],
  "packages/grpc/src": ["@weft/xds-api"],
  "packages/mesh/src": ["@weft/xds-api", "@weft/grpc", "@weft/grpc/platform"],
};

/** Outside packages that only one folder may import: they are heavy, or belong to one surface. */
export const confined: readonly { readonly module: string; readonly within: string; readonly package: string }[] = [
  { module: "@grpc/grpc-js", package: "packages/grpc/src", within: "grpc-js" },
  { module: "@connectrpc/connect", package: "packages/grpc/src", within: "connect" },
];
