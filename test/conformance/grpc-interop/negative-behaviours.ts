import type { Reply } from "./misbehaving-server.ts";

/** How the server of one case answers its calls. */
export interface Behaviour {
  /** Announced in the first SETTINGS, and watched from their acknowledgement on. */
  readonly maxConcurrentStreams?: number;
  answer(reply: Reply): Promise<void>;
  /** What the number of connections says against the client. */
  judge?(connections: number): readonly string[];
}

async function answerWell(reply: Reply, frameBytes?: number, paddingBytes?: number): Promise<void> {
  reply.headers();
  await reply.data(reply.response, frameBytes, paddingBytes);
  reply.trailers();
}

export type NegativeCase =
  | "goaway"
  | "rst_after_header"
  | "rst_during_data"
  | "rst_after_data"
  | "ping"
  | "max_streams"
  | "data_frame_padding"
  | "no_df_padding_sanity_test";

/** The published behaviours. */
export const behaviours: Readonly<Record<NegativeCase, Behaviour>> = {
  goaway: {
    answer(reply) {
      reply.goaway();
      return answerWell(reply);
    },
    judge: (connections) => (connections === 2 ? [] : [`the two calls used ${connections} connections`]),
  },
  rst_after_header: {
    async answer(reply) {
      reply.headers();
      reply.reset();
    },
  },
  rst_during_data: {
    async answer(reply) {
      reply.headers();
      await reply.data(reply.response.subarray(0, reply.response.length / 2));
      reply.reset();
    },
  },
  rst_after_data: {
    async answer(reply) {
      reply.headers();
      await reply.data(reply.response);
      reply.reset();
    },
  },
  ping: {
    async answer(reply) {
      reply.ping();
      reply.headers();
      reply.ping();
      reply.ping();
      await reply.data(reply.response);
      reply.ping();
      reply.trailers();
    },
  },
  max_streams: { maxConcurrentStreams: 1, answer: (reply) => answerWell(reply) },
  data_frame_padding: { answer: (reply) => answerWell(reply, 5, 255) },
  no_df_padding_sanity_test: { answer: (reply) => answerWell(reply, 5) },
};
