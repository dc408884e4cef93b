const plainPattern = /^[\x20-\x24\x26-\x7e]*$/;
const hex = "0123456789ABCDEF";

/** `details` as `grpc-message` carries it: UTF-8 with everything but printable ASCII, and `%`, percent-encoded. */
export function encodeStatusMessage(details: string): string {
  if (plainPattern.test(details)) return details;
  let text = "";
  for (const byte of Buffer.from(details, "utf8")) {
    text +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : `%${hex[byte >> 4]}${hex[byte & 15]}`;
  }
  return text;
}

/** What `grpc-message` says. Broken escapes stay as they are: a bad message must not lose the status. */
export function decodeStatusMessage(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = Buffer.from(text, "utf8");
  let length = 0;
  for (let index = 0; index < bytes.length; index++) {
    const high = bytes[index] === 0x25 ? digit(bytes[index + 1]) : -1;
    const low = high === -1 ? -1 : digit(bytes[index + 2]);
    if (low === -1) {
      bytes[length++] = bytes[index]!;
    } else {
      bytes[length++] = high * 16 + low;
      index += 2;
    }
  }
  return bytes.toString("utf8", 0, length);
}

function digit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
