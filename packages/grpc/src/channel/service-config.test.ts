import { expect, test } from "vitest";
import { methodConfigOf, parseServiceConfig } from "./service-config.ts";

const retryPolicy = {
  maxAttempts: 3,
  initialBackoff: "0.1s",
  maxBackoff: "1s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE", "aborted", 8],
};

function withMethod(fields: object) {
  return { methodConfig: [{ name: [{ service: "a.B", method: "C" }], ...fields }] };
}

test("the most specific entry of a method counts", () => {
  const config = parseServiceConfig(
    JSON.stringify({
      methodConfig: [
        { name: [{}], timeout: "1s" },
        { name: [{ service: "a.B" }], timeout: "2s", waitForReady: true },
        { name: [{ service: "a.B", method: "C" }], timeout: "3.25s", maxRequestMessageBytes: "10" },
      ],
    }),
  );
  expect(methodConfigOf(config, "/a.B/C")).toEqual({ timeoutMs: 3250, maxRequestBytes: 10 });
  expect(methodConfigOf(config, "/a.B/D")).toEqual({ timeoutMs: 2000, waitForReady: true });
  expect(methodConfigOf(config, "/x.Y/Z")).toEqual({ timeoutMs: 1000 });
});

test("a retry policy names its statuses in any form", () => {
  const config = parseServiceConfig(withMethod({ retryPolicy: { ...retryPolicy, maxAttempts: 9 } }));
  expect(methodConfigOf(config, "/a.B/C")?.retry).toEqual({
    maxAttempts: 9,
    initialBackoffMs: 100,
    maxBackoffMs: 1000,
    backoffMultiplier: 2,
    retryableStatuses: new Set([14, 10, 8]),
  });
});

test("a hedging policy needs only its attempts", () => {
  const config = parseServiceConfig(withMethod({ hedgingPolicy: { maxAttempts: 2 } }));
  expect(methodConfigOf(config, "/a.B/C")?.hedging).toEqual({
    maxAttempts: 2,
    delayMs: 0,
    nonFatalStatuses: new Set(),
  });
});

test("the first balancing policy that is known is taken, and its settings with it", () => {
  const list = [{ fancy: {} }, { pick_first: { shuffleAddressList: true } }, { round_robin: {} }];
  expect(parseServiceConfig({ loadBalancingConfig: list }).loadBalancing).toEqual({
    kind: "pick_first",
    shuffle: true,
  });
  expect(parseServiceConfig({ loadBalancingPolicy: "ROUND_ROBIN" }).loadBalancing).toEqual({ kind: "round_robin" });
});

test("fields of newer versions are left alone", () => {
  expect(parseServiceConfig({ somethingNew: 1 }).methods.size).toBe(0);
});

test.each([
  ["{", "serviceConfig is no JSON"],
  [[], "serviceConfig must be an object"],
  [{ loadBalancingConfig: [{ fancy: {} }] }, "has no policy that is known here: fancy"],
  [{ loadBalancingConfig: [{ a: {}, b: {} }] }, "loadBalancingConfig[0] must have exactly one policy"],
  [{ methodConfig: [{ name: [{ method: "C" }] }] }, "methodConfig[0].name[0] has a method without a service"],
  [{ methodConfig: [{ name: [{}, {}] }] }, "methodConfig[0].name[1] comes a second time"],
  [withMethod({ timeout: "5" }), 'methodConfig[0].timeout must be a duration such as "1.5s"'],
  [withMethod({ waitForReady: "yes" }), "waitForReady must be a boolean"],
  [withMethod({ retryPolicy: { ...retryPolicy, maxAttempts: 1 } }), "maxAttempts must be a whole number of at least 2"],
  [withMethod({ retryPolicy: { ...retryPolicy, initialBackoff: "0s" } }), "initialBackoff must be longer than nothing"],
  [withMethod({ retryPolicy: { ...retryPolicy, backoffMultiplier: 0 } }), "backoffMultiplier must be greater than 0"],
  [withMethod({ retryPolicy: { ...retryPolicy, retryableStatusCodes: [] } }), "must name at least one status"],
  [
    withMethod({ retryPolicy: { ...retryPolicy, retryableStatusCodes: ["NOPE"] } }),
    'retryableStatusCodes[0] is "NOPE", not a status code',
  ],
  [withMethod({ retryPolicy, hedgingPolicy: { maxAttempts: 2 } }), "has both retryPolicy and hedgingPolicy"],
  [{ retryThrottling: { maxTokens: 1001, tokenRatio: 1 } }, "retryThrottling.maxTokens must be 1000 at the most"],
])("refuses %j and names the field", (config, message) => {
  expect(() => parseServiceConfig(config)).toThrow(message);
});
