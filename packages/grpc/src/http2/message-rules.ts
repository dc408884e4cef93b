import { NameKind } from "./field-rules.ts";
import { type FieldSection, requestPseudo, responsePseudo } from "./hpack/field-section.ts";

const authorityBit = 1 << NameKind.authority;
const connectPseudo = (1 << NameKind.method) | authorityBit;

/** Why a request's headers are malformed, or undefined (RFC 9113 §8.3.1; CONNECT: §8.5). */
export function requestProblem(section: FieldSection): string | undefined {
  if (section.isMalformed) return "malformed request headers";
  if ((section.pseudo & ~authorityBit) === requestPseudo) {
    return isConnect(section) ? "CONNECT with :scheme or :path" : undefined;
  }
  return section.pseudo === connectPseudo && isConnect(section) ? undefined : "request pseudo-headers missing or wrong";
}

function isConnect(section: FieldSection): boolean {
  const { list } = section;
  for (let i = 0; i < list.length && list[i]?.charCodeAt(0) === 0x3a; i += 2) {
    if (list[i] === ":method") return list[i + 1] === "CONNECT";
  }
  return false;
}

/** The status of a response's headers, or -1 when they are malformed (RFC 9113 §8.3.2). */
export function responseStatus(section: FieldSection): number {
  if (section.isMalformed || section.pseudo !== responsePseudo) return -1;
  const status = section.list[1] as string;
  if (status.length !== 3) return -1;
  const number = Number(status);
  return Number.isInteger(number) && number >= 100 ? number : -1;
}

/** Whether a block may be trailers: no pseudo-header fields (RFC 9113 §8.1). */
export function areTrailers(section: FieldSection): boolean {
  return !section.isMalformed && section.pseudo === 0;
}
