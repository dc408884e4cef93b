// The messages of the cases: what is left out has its default.
import type {
  BoolValue,
  EchoStatus,
  Payload,
  SimpleRequest,
  StreamingInputCallRequest,
  StreamingOutputCallRequest,
} from "./gen/grpc/testing/messages.ts";

/** The sizes of the four requests and responses of the streaming cases. */
export const requestSizes = [27_182, 8, 1828, 45_904] as const;
export const responseSizes = [31_415, 9, 2653, 58_979] as const;
export const largeRequestBytes = 271_828;
export const largeResponseBytes = 314_159;

/** A payload of `bytes` zeros. */
export function payload(bytes: number): Payload {
  return { type: 0, body: new Uint8Array(bytes) };
}

export function flag(value: boolean | undefined): BoolValue | undefined {
  return value === undefined ? undefined : { value };
}

export function simpleRequest(settings: Partial<SimpleRequest> = {}): SimpleRequest {
  return {
    responseType: 0,
    responseSize: 0,
    payload: undefined,
    fillUsername: false,
    fillOauthScope: false,
    responseCompressed: undefined,
    responseStatus: undefined,
    expectCompressed: undefined,
    fillServerId: false,
    ...settings,
  };
}

/** The request of large_unary and of every case that is one with something besides. */
export function largeRequest(settings: Partial<SimpleRequest> = {}): SimpleRequest {
  return simpleRequest({ responseSize: largeResponseBytes, payload: payload(largeRequestBytes), ...settings });
}

export function inputRequest(bytes: number, expectCompressed?: boolean): StreamingInputCallRequest {
  return { payload: payload(bytes), expectCompressed: flag(expectCompressed) };
}

/** One response asked of a stream: its size, and whether it shall be compressed. */
export type ResponseWish = number | { readonly size: number; readonly compressed: boolean };

export function outputRequest(
  responses: readonly ResponseWish[],
  requestBytes?: number,
  responseStatus?: EchoStatus,
): StreamingOutputCallRequest {
  return {
    responseType: 0,
    responseParameters: responses.map((wish) => ({
      size: typeof wish === "number" ? wish : wish.size,
      intervalUs: 0,
      compressed: typeof wish === "number" ? undefined : flag(wish.compressed),
    })),
    payload: requestBytes === undefined ? undefined : payload(requestBytes),
    responseStatus,
  };
}
