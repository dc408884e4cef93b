const base64Pattern = /^[A-Za-z0-9+/]*={0,2}$/;

/** `value` in base64 without padding, as gRPC asks senders to write `-bin` headers. */
export function encodeBinaryValue(value: Uint8Array): string {
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  const padding = text.indexOf("=");
  return padding === -1 ? text : text.slice(0, padding);
}

/** The bytes of one `-bin` value, padded or not; undefined for what isn't base64. */
export function decodeBinaryValue(text: string): Uint8Array | undefined {
  const trimmed = text.trim();
  // Node's decoder stops at what it doesn't know: a broken value would come out shortened instead of refused.
  if (!base64Pattern.test(trimmed)) return undefined;
  const digits = trimmed.replace(/=+$/, "").length;
  if (digits % 4 === 1) return undefined;
  return new Uint8Array(Buffer.from(trimmed, "base64"));
}
