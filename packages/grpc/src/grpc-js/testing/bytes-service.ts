const bytesMethod = {
  requestSerialize: (message: Buffer) => message,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (message: Buffer) => message,
  responseDeserialize: (bytes: Buffer) => bytes,
} as const;

/** A service of all four kinds whose messages are bytes, in grpc-js's form. */
export const bytesService = {
  unary: { ...bytesMethod, path: "/test.Bytes/Unary", requestStream: false, responseStream: false },
  collect: { ...bytesMethod, path: "/test.Bytes/Collect", requestStream: true, responseStream: false },
  expand: { ...bytesMethod, path: "/test.Bytes/Expand", requestStream: false, responseStream: true },
  chat: { ...bytesMethod, path: "/test.Bytes/Chat", requestStream: true, responseStream: true },
} as const;
