import { expect, test } from "vitest";
import { rejection } from "./testing/blob-service.ts";
import { attempted, configFor, echoes, fails, hangs, timerOf } from "./testing/retrying.ts";

const request = Buffer.from("request");
const hedgingPolicy = { maxAttempts: 3, hedgingDelay: "0.5s", nonFatalStatusCodes: ["UNAVAILABLE"] };
const serviceConfig = configFor({ hedgingPolicy });

test("a call that isn't answered is sent again after the delay, and the first answer counts", async () => {
  await using it = await attempted([hangs, echoes], { serviceConfig });
  const reply = it.client.unary(request);
  await it.until(() => it.attempts.length === 1);
  it.clock.advance(500);
  expect((await reply).toString()).toContain("request");
  await it.until(() => it.cancelled.length === 1);
  expect([it.attempts, it.cancelled]).toEqual([["", "1"], [0]]);
});

test("a failure that isn't fatal brings the next attempt at once; the last one's status counts", async () => {
  await using it = await attempted([fails(14)], { serviceConfig });
  expect((await rejection(it.client.unary(request))).code).toBe("UNAVAILABLE");
  expect(it.attempts).toEqual(["", "1", "2"]);
});

test("a fatal failure ends the call and its other attempts", async () => {
  await using it = await attempted([hangs, fails(9)], { serviceConfig });
  const failure = rejection(it.client.unary(request));
  await it.until(() => it.attempts.length === 1);
  it.clock.advance(500);
  expect((await failure).code).toBe("FAILED_PRECONDITION");
  await it.until(() => it.cancelled.includes(0));
  expect(it.clock.pendingMs).toEqual([]);
});

test("a server that pushes back decides about the next attempt", async () => {
  await using it = await attempted(
    [fails(14, { "grpc-retry-pushback-ms": "2000" }), fails(14, { "grpc-retry-pushback-ms": "-1" })],
    { serviceConfig },
  );
  const failure = rejection(it.client.unary(request));
  await timerOf(it.clock, 2000);
  it.clock.advance(2000);
  expect((await failure).code).toBe("UNAVAILABLE");
  expect(it.attempts).toHaveLength(2);
});

test("each attempt gets the whole of a streaming request", async () => {
  await using it = await attempted([hangs, echoes], { serviceConfig });
  const reply = it.client.upload([Buffer.from("one "), Buffer.from("two")]);
  await it.until(() => it.attempts.length === 1);
  it.clock.advance(500);
  expect((await reply).toString()).toMatch(/one .*two/s);
});

test("the caller's end reaches every attempt", async () => {
  await using it = await attempted([hangs], { serviceConfig });
  const abort = new AbortController();
  const gone = rejection(it.client.unary(request, { signal: abort.signal }));
  await it.until(() => it.attempts.length === 1);
  it.clock.advance(500);
  await it.until(() => it.attempts.length === 2);
  abort.abort();
  expect((await gone).code).toBe("CANCELLED");
  await it.until(() => it.cancelled.length === 2);
});

test("a deadline ends the call and says whom it waited for", async () => {
  await using it = await attempted([hangs], { serviceConfig });
  const error = await rejection(it.client.unary(request, { timeoutMs: 50 }));
  expect([error.code, error.details]).toEqual([
    "DEADLINE_EXCEEDED",
    expect.stringMatching(/^the deadline passed after 50 ms, waiting for (127|a conn)/),
  ]);
  expect(it.clock.pendingMs).toEqual([]);
});
