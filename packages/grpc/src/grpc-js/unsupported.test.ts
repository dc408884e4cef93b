import { readFileSync } from "node:fs";
import * as grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import * as weft from "../grpc-js.ts";
import { createTestAuthority } from "../identity/testing/certificates.ts";
import { BytesClient } from "./testing/grpc-js-client.ts";

// The table of docs/reference/grpc-js.md: what isn't supported, and the error that says so, word for word.

const page = readFileSync(new URL("../../../../docs/reference/grpc-js.md", import.meta.url), "utf8");
const readme = readFileSync(new URL("../../../../README.md", import.meta.url), "utf8");
const insecure = grpc.credentials.createInsecure();

/** By the name of the table's row: what an application does. */
const refused: Readonly<Record<string, () => unknown>> = {
  createConnectionInjector: () => new weft.Server().createConnectionInjector(grpc.ServerCredentials.createInsecure()),
  "several key pairs": async () => {
    const pairs = [await keyPair(), await keyPair()];
    return bound(weft.ServerCredentials.createSsl(null, pairs));
  },
  "grpc-node.tls_enable_trace": () => new weft.Server({ "grpc-node.tls_enable_trace": 1 }),
  "grpc.service_config_disable_resolution": () =>
    new weft.Client("a:1", insecure, { "grpc.service_config_disable_resolution": 0 }),
  "experimental.registerResolver": () => {
    weft.experimental.registerResolver("consul", NoResolver);
    return new weft.Client("consul:///greeter", insecure);
  },
  "experimental.registerLoadBalancerType": () => {
    const [balancer, config] = [class {}, class {}];
    weft.experimental.registerLoadBalancerType("my_policy", balancer as never, config as never);
    return withPolicy("my_policy");
  },
  weighted_round_robin: () => withPolicy("weighted_round_robin"),
  "dns://server/name": async () => {
    await using client = new BytesClient(new weft.Client("dns://8.8.8.8/greeter:50051", insecure));
    throw new Error((await client.unary(Buffer.of())).status.details);
  },
};

/** The table's rows: what is refused, by the row's first words or code, and its error. */
const rows = [...page.matchAll(/^\| (?:`([^`]+)`|([a-z ]+) in ).*\| `([^`]+)` +\|$/gm)].map(
  ([, code, words, error]) => [code ?? words ?? "", error ?? ""] as const,
);

test("the page's table has a row for each of these, and no other", () => {
  expect(rows.map(([name]) => name).sort()).toEqual(Object.keys(refused).sort());
});

test("the README's table has the same errors", () => {
  const errors = [...readme.matchAll(/^\| `?[^|]+\| `([^`].*)` +\|$/gm)].map(([, error]) => error);
  expect(errors).toEqual(rows.map(([, error]) => error));
});

test.each(rows)("%s is refused as the page says", async (name, message) => {
  const error = await (async () => refused[name]?.())().catch((reason: unknown) => reason);
  expect((error as Error).message).toBe(message);
});

class NoResolver {
  updateResolution(): void {
    expect.unreachable();
  }
  destroy(): void {
    expect.unreachable();
  }
  static getDefaultAuthority(): string {
    return "greeter";
  }
}

function withPolicy(name: string): weft.Client {
  const config = JSON.stringify({ loadBalancingConfig: [{ [name]: {} }] });
  return new weft.Client("a:1", insecure, { "grpc.service_config": config });
}

function bound(credentials: grpc.ServerCredentials): Promise<void> {
  return new Promise((resolve, reject) => {
    new weft.Server().bindAsync("127.0.0.1:0", credentials, (error) => (error === null ? resolve() : reject(error)));
  });
}

async function keyPair(): Promise<grpc.KeyCertPair> {
  const { privateKeyPem, certificateChainPem } = await (await createTestAuthority()).issue({ dns: ["localhost"] });
  return { private_key: Buffer.from(privateKeyPem), cert_chain: Buffer.from(certificateChainPem) };
}
