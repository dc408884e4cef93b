import { HeaderTemplate } from "../http2/headers.ts";
import { type CallSettings, defaultCallSettings } from "./call-settings.ts";
import { acceptedEncodings } from "./compression.ts";

/** What all calls of one method on one channel share: their request headers, made once so that the encoding is cached, and settings. */
export class CallHead {
  readonly path: string;
  readonly authority: string;
  readonly settings: CallSettings;
  readonly #userAgent: string;
  #http: HeaderTemplate | undefined;
  #https: HeaderTemplate | undefined;

  constructor(path: string, authority: string, userAgent: string, settings: CallSettings = defaultCallSettings) {
    this.path = path;
    this.authority = authority;
    this.settings = settings;
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
      this.authority,
      "content-type",
      "application/grpc",
      "te",
      "trailers",
      "user-agent",
      this.#userAgent,
      "grpc-accept-encoding",
      acceptedEncodings,
    ]);
  }
}
