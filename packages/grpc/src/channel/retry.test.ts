import { constants } from "node:http2";
import { expect, test } from "vitest";
import { rejection } from "./testing/blob-service.ts";
import { answer, frame } from "./testing/http2-server.ts";
import { attempted, configFor, echoes, fails, hangs, retryPolicy, timerOf } from "./testing/retrying.ts";

const request = Buffer.from("request");
const unavailable = fails(14);

test("a call that fails with a status of its policy is tried again after a back-off that grows", async () => {
  await using it = await attempted([unavailable, unavailable, echoes], { serviceConfig: configFor({ retryPolicy }) });
  const reply = it.client.unary(request);
  await timerOf(it.clock, 100);
  it.clock.advance(100);
  await timerOf(it.clock, 200);
  it.clock.advance(200);
  expect((await reply).toString()).toContain("request");
  expect(it.attempts).toEqual(["", "1", "2"]);
});

test("the last attempt's status is the call's", async () => {
  const serviceConfig = configFor({ retryPolicy: { ...retryPolicy, maxAttempts: 2 } });
  const last = fails(14, { "grpc-message": "last" });
  await using it = await attempted([unavailable, last], { serviceConfig });
  const failure = rejection(it.client.unary(request));
  await timerOf(it.clock, 100);
  it.clock.advance(100);
  expect((await failure).details).toBe("last");
  expect(it.attempts).toHaveLength(2);
});

test.each([
  [undefined, 5],
  [2, 2],
])("a policy of seven attempts is cut to what the channel allows (%s: %i)", async (maxAttempts, expected) => {
  const policy = { ...retryPolicy, maxAttempts: 7, initialBackoff: "1s", maxBackoff: "1s" };
  const options = { serviceConfig: configFor({ retryPolicy: policy }), ...(maxAttempts && { maxAttempts }) };
  await using it = await attempted([unavailable], options);
  const failure = rejection(it.client.unary(request));
  for (let retry = 1; retry < expected; retry++) {
    await timerOf(it.clock, 1000);
    it.clock.advance(1000);
  }
  expect((await failure).code).toBe("UNAVAILABLE");
  expect(it.attempts).toHaveLength(expected);
});

test("a status that the policy doesn't name ends the call", async () => {
  await using it = await attempted([fails(9)], { serviceConfig: configFor({ retryPolicy }) });
  expect((await rejection(it.client.unary(request))).code).toBe("FAILED_PRECONDITION");
  expect(it.attempts).toHaveLength(1);
});

test("after response headers there is no other attempt", async () => {
  const half = (stream: Parameters<typeof unavailable>[0]) => answer(stream, frame("half"), { "grpc-status": "14" });
  await using it = await attempted([half], { serviceConfig: configFor({ retryPolicy }) });
  expect((await rejection(it.client.unary(request))).code).toBe("UNAVAILABLE");
  expect(it.attempts).toHaveLength(1);
});

test("retries can be switched off", async () => {
  await using it = await attempted([unavailable], { serviceConfig: configFor({ retryPolicy }), retries: false });
  await rejection(it.client.unary(request));
  expect(it.attempts).toHaveLength(1);
});

test("the server says when the next attempt may come, and the back-off begins anew after it", async () => {
  const later = fails(14, { "grpc-retry-pushback-ms": "3000" });
  await using it = await attempted([later, unavailable, echoes], { serviceConfig: configFor({ retryPolicy }) });
  const reply = it.client.unary(request);
  await timerOf(it.clock, 3000);
  it.clock.advance(3000);
  await timerOf(it.clock, 100);
  it.clock.advance(100);
  await reply;
});

test.each(["-1", "soon"])("a server that pushes back with %j gets no other attempt", async (pushback) => {
  const never = fails(14, { "grpc-retry-pushback-ms": pushback });
  await using it = await attempted([never], { serviceConfig: configFor({ retryPolicy }) });
  await rejection(it.client.unary(request));
  expect(it.attempts).toHaveLength(1);
});

test("while too many calls fail none is tried again, until enough succeed", async () => {
  const throttling = { retryThrottling: { maxTokens: 2, tokenRatio: 1 } };
  const serviceConfig = configFor({ retryPolicy }, throttling);
  await using it = await attempted([unavailable, echoes, unavailable, echoes], { serviceConfig });
  // Two tokens less one isn't more than half of them.
  expect((await rejection(it.client.unary(request))).code).toBe("UNAVAILABLE");
  await it.client.unary(request);
  expect((await rejection(it.client.unary(request))).code).toBe("UNAVAILABLE");
  expect(it.attempts).toHaveLength(3);
});

test("a streaming request is sent again from its first message on", async () => {
  await using it = await attempted([unavailable, echoes], { serviceConfig: configFor({ retryPolicy }) });
  const reply = it.client.upload([Buffer.from("one "), Buffer.from("two")]);
  await timerOf(it.clock, 100);
  it.clock.advance(100);
  expect((await reply).toString()).toMatch(/one .*two/s);
});

test("a request that is too large to be kept is sent once", async () => {
  const serviceConfig = configFor({ retryPolicy });
  await using it = await attempted([unavailable], { serviceConfig, callRetryBufferBytes: 5 });
  expect((await rejection(it.client.unary(request))).code).toBe("UNAVAILABLE");
  expect((await rejection(it.client.upload([request]))).code).toBe("UNAVAILABLE");
  expect(it.attempts).toEqual(["", ""]);
});

test("what a call kept is given back with its end", async () => {
  const options = { serviceConfig: configFor({ retryPolicy }), retryBufferBytes: request.length };
  await using it = await attempted([unavailable, echoes, unavailable, echoes], options);
  for (let calls = 0; calls < 2; calls++) {
    const reply = it.client.unary(request);
    await timerOf(it.clock, 100);
    it.clock.advance(100);
    await reply;
  }
  expect(it.attempts).toEqual(["", "1", "", "1"]);
});

test("a deadline that passes between attempts says so", async () => {
  await using it = await attempted([unavailable], { serviceConfig: configFor({ retryPolicy }) });
  const error = await rejection(it.client.unary(request, { timeoutMs: 40 }));
  expect([error.code, error.details]).toEqual([
    "DEADLINE_EXCEEDED",
    "the deadline passed after 40 ms, waiting for its attempt 2",
  ]);
  expect(it.clock.pendingMs).toEqual([]);
});

test("a streaming call that its server refused to look at is started anew, without a policy", async () => {
  const refuses = (stream: Parameters<typeof unavailable>[0]) => stream.close(constants.NGHTTP2_REFUSED_STREAM);
  await using it = await attempted([refuses, echoes], {});
  const reply = await it.client.upload([Buffer.from("one "), Buffer.from("two")]);
  expect(reply.toString()).toMatch(/one .*two/s);
  expect(it.attempts).toEqual(["", ""]);
});

test("a method's time-out and limits hold for its calls", async () => {
  const serviceConfig = configFor({ timeout: "0.03s", maxRequestMessageBytes: 10, maxResponseMessageBytes: 10 });
  await using it = await attempted([hangs], { serviceConfig });
  expect((await rejection(it.client.unary(request, { timeoutMs: 60_000 }))).details).toMatch(/after 30 ms/);
  const error = await rejection(it.client.unary(Buffer.alloc(11)));
  expect([error.code, error.details]).toEqual([
    "RESOURCE_EXHAUSTED",
    "request message of 11 bytes is larger than the limit of 10",
  ]);
  expect((await rejection(it.client.upload([Buffer.alloc(11)]))).code).toBe("RESOURCE_EXHAUSTED");
});
