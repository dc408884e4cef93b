/** This package's version; a test compares it with package.json. */
export const packageVersion = "0.1.0";

/** `user-agent` of calls: the application's own words first, as gRPC's other libraries have it. */
export function userAgent(prefix: string | undefined): string {
  const own = `weft-grpc-node/${packageVersion}`;
  return prefix === undefined || prefix === "" ? own : `${prefix} ${own}`;
}
