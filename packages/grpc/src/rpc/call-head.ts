import { HeaderTemplate } from "../http2/headers.ts";

/** The request headers that all calls of one method on one channel share; made once, so that their encoding is cached. */
export class CallHead {
  readonly path: string;
  readonly #authority: string;
  readonly #userAgent: string;
  #http: HeaderTemplate | undefined;
  #https: HeaderTemplate | undefined;

  constructor(path: string, authority: string, userAgent: string) {
    this.path = path;
    this.#authority = authority;
    this.#userAgent = userAgent;
  }

  /** For a connection with or without TLS: `:scheme` says which. */
  template(isSecure: boolean): HeaderTemplate {
    if (isSecure) {
      this.#https ??= this.#make("https");
      return this.#https;
    }
    this.#http ??= this.#make("http");
    return this.#http;
  }

  #make(scheme: string): HeaderTemplate {
    return new HeaderTemplate([
      ":method",
      "POST",
      ":scheme",
      scheme,
      ":path",
      this.path,
      ":authority",
      this.#authority,
      "content-type",
      "application/grpc",
      "te",
      "trailers",
      "user-agent",
      this.#userAgent,
    ]);
  }
}
