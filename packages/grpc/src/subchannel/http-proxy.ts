/** An HTTP proxy that connections go through. */
export interface HttpProxy {
  readonly host: string;
  readonly port: number;
  /** The value of `Proxy-Authorization`; stands in no message. */
  readonly authorization: string | undefined;
}

/** The port that `http:` stands for. */
const defaultPort = 80;

/**
 * The proxy at `url`, `http://user:password@host:port`; undefined for everything else.
 *
 * `credentials`, `user:password`, are for a URL that has none.
 */
export function parseHttpProxy(url: string, credentials?: string): HttpProxy | undefined {
  const parsed = URL.parse(url);
  if (parsed?.protocol !== "http:") return undefined;
  let userInfo: string | undefined;
  try {
    userInfo = userInfoOf(parsed) ?? credentials;
  } catch {
    // A percent sign that encodes nothing: which password was meant can't be known.
    return undefined;
  }
  return {
    host: parsed.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: parsed.port === "" ? defaultPort : Number(parsed.port),
    authorization: userInfo === undefined ? undefined : `Basic ${Buffer.from(userInfo).toString("base64")}`,
  };
}

/** `user:password`, which RFC 7617 wants with its colon where there is no password too. */
function userInfoOf({ username, password }: URL): string | undefined {
  return username === "" && password === "" ? undefined : decodeURIComponent(`${username}:${password}`);
}
