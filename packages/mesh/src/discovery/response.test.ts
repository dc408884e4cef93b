import { typeUrls } from "@weft/xds-api";
import { DiscoveryResponse } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import { Any } from "@weft/xds-api/google/protobuf/any";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeResponse } from "./response.ts";
import { textResource } from "./testing/memory-source.ts";

test("a response written around encoded resources has the bytes that the codec would give", () => {
  const texts = fc.array(fc.string({ maxLength: 40_000, size: "max" }), { maxLength: 5 });
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, unit: "grapheme" }),
      fc.string({ minLength: 1, maxLength: 300 }),
      texts,
      (version, nonce, contents) => {
        const resources = contents.map((text, at) => textResource(typeUrls.cluster, `name ${at}`, text));
        const ours = encodeResponse({ typeUrl: typeUrls.cluster, versionInfo: version, nonce, resources });
        const decoded = DiscoveryResponse.decode(ours);
        expect(decoded).toMatchObject({ typeUrl: typeUrls.cluster, versionInfo: version, nonce });
        expect(decoded.resources.map((any) => Buffer.from(any.value).toString())).toEqual(
          resources.map(({ any }) => Buffer.from(Any.decode(any).value).toString()),
        );
        expect(Buffer.compare(DiscoveryResponse.encode(decoded).finish(), ours)).toBe(0);
      },
    ),
    { numRuns: 50 },
  );
});
