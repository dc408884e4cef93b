/** gRPC's write flag that exempts one message from compression; grpc-js knows it and doesn't export it. */
const noCompress = 2;

/** Whether a message sent with `flags` may be compressed. */
export function mayCompress(flags: number | undefined): boolean {
  return flags === undefined || (flags & noCompress) === 0;
}
