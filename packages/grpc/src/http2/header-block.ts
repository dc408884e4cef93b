import { ErrorCode, type LimitName } from "./error.ts";
import { FrameFlag, readUint31 } from "./frame.ts";
import type { Http2Limits } from "./options.ts";

const noBytes = Buffer.allocUnsafeSlow(0);

/**
 * The header block that is being received: HEADERS without padding and priority, and the CONTINUATIONs that belong to it
 * (RFC 9113 §6.2, §6.10). A block in one frame is not copied.
 *
 * `begin` and `append` return false when the frame can't be accepted: `code`, `problem` and `limit` say why.
 */
export class HeaderBlock {
  /** The stream of a block that goes on; 0 when none does. */
  streamId = 0;
  endStream = false;
  /** HEADERS made the stream depend on itself (RFC 9113 §5.3.1). */
  isSelfDependent = false;
  /** Where the block is. */
  bytes: Buffer = noBytes;
  start = 0;
  end = 0;
  code: number = ErrorCode.NO_ERROR;
  problem = "";
  limit: LimitName | undefined;
  readonly #limits: Http2Limits;
  #frames = 0;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  /** Takes HEADERS. The block is whole unless `streamId` says otherwise. */
  begin(flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    let from = start;
    let until = end;
    if ((flags & FrameFlag.padded) !== 0) {
      if (from >= until) return this.#refuse(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short");
      until -= bytes[from] as number;
      from += 1;
      if (until < from) return this.#refuse(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame");
    }
    this.isSelfDependent = false;
    if ((flags & FrameFlag.priority) !== 0) {
      if (until - from < 5) return this.#refuse(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short");
      this.isSelfDependent = readUint31(bytes, from) === streamId;
      from += 5;
    }
    this.endStream = (flags & FrameFlag.endStream) !== 0;
    this.bytes = bytes;
    this.start = from;
    this.end = until;
    if ((flags & FrameFlag.endHeaders) !== 0) return true;
    this.streamId = streamId;
    this.#frames = 0;
    this.bytes = noBytes;
    this.start = 0;
    this.end = 0;
    return this.#keep(bytes, from, until);
  }

  /** Takes CONTINUATION. The block is whole when `streamId` is 0 afterwards. */
  append(flags: number, bytes: Buffer, start: number, end: number): boolean {
    this.#frames += 1;
    if (this.#frames > this.#limits.maxContinuationFrames) {
      return this.#refuse(ErrorCode.ENHANCE_YOUR_CALM, "header block in too many frames", "continuation");
    }
    if (!this.#keep(bytes, start, end)) return false;
    if ((flags & FrameFlag.endHeaders) !== 0) this.streamId = 0;
    return true;
  }

  /** The block was decoded: its bytes are not kept. */
  release(): void {
    this.bytes = noBytes;
  }

  #keep(bytes: Buffer, start: number, end: number): boolean {
    const size = this.end + end - start;
    const { maxHeaderListBytes } = this.#limits;
    // no text is longer in a sensible encoding than as it is, so a block over the list's limit is over it decoded, too
    if (size > maxHeaderListBytes) {
      const problem = `header block over ${maxHeaderListBytes} bytes`;
      return this.#refuse(ErrorCode.ENHANCE_YOUR_CALM, problem, "continuation");
    }
    if (this.bytes.length < size) {
      const larger = Buffer.allocUnsafeSlow(size * 2);
      this.bytes.copy(larger, 0, 0, this.end);
      this.bytes = larger;
    }
    bytes.copy(this.bytes, this.end, start, end);
    this.end = size;
    return true;
  }

  #refuse(code: number, problem: string, limit?: LimitName): false {
    this.code = code;
    this.problem = problem;
    this.limit = limit;
    return false;
  }
}
