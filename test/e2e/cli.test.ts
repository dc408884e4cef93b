import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DemoMesh } from "../../packages/mesh/src/demo/demo-mesh.ts";
import { processesWith, Terminal } from "./weft-process.ts";

const onLinux = existsSync("/proc/self/environ");

let mesh: DemoMesh;
let terminal: Terminal;

beforeAll(async () => {
  mesh = new DemoMesh();
  await mesh.startControlPlane();
});
afterAll(async () => {
  await mesh.close();
});
beforeEach(() => {
  terminal = new Terminal();
});
afterEach(async () => {
  await terminal[Symbol.asyncDispose]();
});

const weft = (...args: string[]) => terminal.run([...args, "--data", mesh.data]);
const up = (data: string, ...args: string[]) => [
  "up",
  "--data",
  data,
  "--tls-port",
  "auto",
  "--admin-port",
  "auto",
  ...args,
];

/** Nobody should ever see one. */
const stackTrace = /\n\s+at .+:\d+:\d+/;

describe("weft up that can't", () => {
  test("says who has the data directory", async () => {
    const ended = await terminal.run(up(mesh.data));
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(ended.stderr).toMatch(/^error: WEFT0301: .* is in use by process \d+\nhint: /);
  });

  test.each(["--tls-port", "--xds-port", "--admin-port"])("says who has the port of %s", async (flag) => {
    const holder = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => holder.once("listening", resolve));
    const { port } = holder.address() as { port: number };
    const ended = await terminal.run([...up(join(terminal.tmp, "data")), flag, String(port)]);
    holder.close();
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(`error: WEFT0313: 127.0.0.1:${port} is taken`);
    if (onLinux) expect(ended.stderr).toContain(`(pid ${process.pid})`);
    expect(ended.stderr).not.toMatch(stackTrace);
  });

  test.each<[string, (data: string) => void, string]>([
    [
      "a damaged store",
      (data) => writeFileSync(join(data, "weft.db"), "not a database, but long enough for one".repeat(200)),
      "WEFT0302",
    ],
    [
      "a directory that others may read",
      (data) => {
        writeFileSync(join(data, "x"), "");
        chmodSync(data, 0o755);
      },
      "WEFT0304",
    ],
    [
      "an authority that is damaged",
      (data) => {
        mkdirSync(join(data, "ca"));
        writeFileSync(join(data, "ca", "root.pem"), "", { mode: 0o600 });
      },
      "WEFT0311",
    ],
    ["an authority that is a file", (data) => writeFileSync(join(data, "ca"), ""), "WEFT0315"],
    ["an authority that leads nowhere", (data) => symlinkSync("/dev/null", join(data, "ca")), "WEFT0315"],
  ])("says what is wrong with %s", async (_, spoil, code) => {
    const data = join(terminal.tmp, "data");
    mkdirSync(data, { mode: 0o700 });
    spoil(data);
    const ended = await terminal.run(up(data));
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(new RegExp(`^error: ${code}: .*\\nhint: `));
    expect(ended.stderr).not.toMatch(stackTrace);
  });

  test("says that an address is not this machine's", async () => {
    const ended = await terminal.run(up(join(terminal.tmp, "data"), "--host", "192.0.2.1"));
    expect(ended.stderr).toContain("error: WEFT0314: can't listen on 192.0.2.1");
    expect(ended.code).toBe(1);
  });
});

test("weft up prints a diagnostic when it comes and when it is solved, and none twice", async () => {
  const config = join(terminal.tmp, "config");
  mkdirSync(config);
  const document = (name: string, field: string): void =>
    writeFileSync(
      join(config, `${name}.yaml`),
      `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\nspec:\n  ${field}: []\n`,
    );
  document("first", "prots");
  const running = terminal.start(up(join(terminal.tmp, "data"), "--dir", config));
  await running.prints("first.yaml:6:3: error WEFT0010: unknown field spec.prots (did you mean ports?)");
  await running.prints("the control plane is up");
  document("second", "prots");
  await running.prints("second.yaml:6:3: error WEFT0010");
  document("second", "ports");
  await running.prints("second.yaml: solved WEFT0010");
  running.signal("SIGTERM");
  const { code, stderr } = await running.ended;
  expect(code).toBe(0);
  expect(stderr.match(/first\.yaml:6:3: error WEFT0010/g)).toHaveLength(1);
});

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "weft up ends well on %s and takes its credential away",
  async (signal) => {
    const data = join(terminal.tmp, "data");
    const running = terminal.start(up(data));
    await running.prints("the control plane is up");
    expect(statSync(join(data, "admin.json")).mode & 0o777).toBe(0o600);
    running.signal(signal);
    expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
    expect(existsSync(join(data, "admin.json"))).toBe(false);
  },
);

describe("asking", () => {
  test("a mistake is shown with its place and a hint, and changes nothing", async () => {
    const file = join(terminal.tmp, "route.yaml");
    writeFileSync(
      file,
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: x\nspec:\n  hots: [echo]\n",
    );
    const ended = await weft("apply", "-f", file);
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(ended.stderr).toContain(`${file}:6:3: error WEFT0010: unknown field spec.hots (did you mean hosts?)\n`);
  });

  test.each([
    ["a command that there is not", ["statsu"], /unknown command/],
    ["a flag that there is not", ["status", "--verbos"], /unknown option/],
    ["an output that there is not", ["status", "-o", "xml"], /Allowed choices are text, json/],
    [
      "a label that is none",
      ["token", "create", "--namespace", "a", "--service-account", "b", "--label", "x"],
      /not key=value/,
    ],
    [
      "a time that is none",
      ["token", "create", "--namespace", "a", "--service-account", "b", "--ttl", "1y"],
      /e.g. 30m/,
    ],
    ["a wait that is none", ["apply", "-f", "x.yaml", "--wait", "long"], /number of seconds/],
    ["a port that is none", ["run", "--port", "99999", "--", "true"], /name=number/],
    ["no control plane to join", ["run", "--", "true"], /WEFT_CONTROL_PLANE is not set/],
    ["a file that is not there", ["apply", "-f", "nowhere.yaml"], /there is no such file/],
  ])("%s is the asker's mistake: exit code 2", async (_, args, message) => {
    const ended = await terminal.run(args, { WEFT_DATA: mesh.data });
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toMatch(message);
    expect(ended.stderr).not.toMatch(stackTrace);
  });

  test.each([["status"], ["get"], ["interfaces"], ["token", "list"], ["delete", "svc", "x"]])(
    "weft %s without a control plane says how to start one",
    async (...args) => {
      const ended = await terminal.run(args, { WEFT_DATA: join(terminal.tmp, "none") });
      expect(ended).toMatchObject({ code: 1, stdout: "" });
      expect(ended.stderr).toMatch(/^error: WEFT0509: .*\nhint: start one: weft up --data /);
    },
  );

  test.each([["status"], ["get"], ["interfaces"], ["token", "list"]])("weft %s -o json is JSON", async (...args) => {
    const ended = await weft(...args, "-o", "json");
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    JSON.parse(ended.stdout);
  });

  test("a reader that has enough ends nothing", async () => {
    const running = terminal.start(["status", "--data", mesh.data]);
    running.child.stdout?.destroy();
    expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
  });

  test("what others wrote doesn't reach the terminal as commands", async () => {
    const version = "v1\u001b]0;owned\u0007\u009b31m";
    const text = `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${JSON.stringify(version)}\nspec: {ports: [{port: 1}]}\n`;
    const ended = await terminal.run(["apply", "-f", "-", "--data", mesh.data], {}, text);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("WEFT0013");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there.
    expect(ended.stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});

describe("tokens", () => {
  test("a token is made with its bounds, listed without its secret, and revoked", async () => {
    const bounds = ["--label", "app=x,version=v1", "--address", "10.0.0.0/8", "--uses", "2", "--ttl", "30m"];
    const made = await weft("token", "create", "--namespace", "shop", "--service-account", "cart", ...bounds);
    expect(made.stdout).toMatch(/^weft1\.[\w-]{43}\.[\w-]{43}\n$/);
    const listed = await weft("token", "list");
    expect(listed.stdout).toMatch(/shop\/cart\s+app=x,version=v1\s+10\.0\.0\.0\/8\s+\S+\s+2\n/);
    expect(listed.stdout).not.toContain(made.stdout.split(".")[1]);
    const [id = ""] = /^[0-9a-f]{12}(?=\s+shop\/cart)/m.exec(listed.stdout) ?? [];
    expect(await weft("token", "revoke", id)).toMatchObject({ code: 0, stdout: `token ${id} revoked\n` });
    expect(await weft("token", "revoke", id)).toMatchObject({ code: 1 });
  });

  test("a token for one process lets one in", async () => {
    const made = await weft("token", "create", "--namespace", "shop", "--service-account", "cart", "--uses", "1");
    const env = { WEFT_CONTROL_PLANE: mesh.controlPlaneAddress, WEFT_TOKEN: made.stdout.trim() };
    expect(await terminal.run(["run", "--", "true"], env)).toMatchObject({ code: 0 });
    const second = await terminal.run(["run", "--", "true"], env);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("no uses left");
  });
});

describe("weft run", () => {
  const env = (): Promise<Record<string, string>> => mesh.joinEnvironment("app", "app=run");

  test.each([
    ["its exit code", ["sh", "-c", "exit 7"], 7],
    ["the signal that ended it", ["sh", "-c", "kill -9 $$"], 137],
    ["that it isn't there", ["/nowhere/to/be/found"], 127],
    ["that it can't be run", [fileURLToPath(import.meta.url)], 126],
  ])("passes on %s and leaves nothing", async (_, command, code) => {
    const ended = await terminal.run(["run", "--", ...command], await env());
    expect(ended.code).toBe(code);
    expect(ended.stderr).not.toMatch(stackTrace);
    expect(terminal.left()).toEqual([]);
  });

  test("keeps the token from the application, and others from its home", async () => {
    const joining = await env();
    const script =
      'env; tr "\\0" "\\n" </proc/self/environ; cd "$(dirname "$GRPC_XDS_BOOTSTRAP")"; stat -c "%n %a" . *';
    const { stdout, code } = await terminal.run(["run", "--", "sh", "-c", script], joining);
    expect(code).toBe(0);
    expect(stdout).not.toContain("WEFT_TOKEN");
    expect(stdout).not.toContain(joining["WEFT_TOKEN"]);
    if (onLinux)
      expect(stdout).toMatch(/\n\. 700\nbootstrap\.json 600\ncertificates 777\ncertificates\.1 700\nxds\.sock 600\n/);
  });

  test.each(["SIGINT", "SIGTERM"] as const)(
    "ends on %s while it still waits to join, and leaves nothing",
    async (signal) => {
      const nowhere = { ...(await env()), WEFT_CONTROL_PLANE: "127.0.0.1:1" };
      const running = terminal.start(["run", "--", "true"], nowhere);
      await running.prints("nothing listens there");
      running.signal(signal);
      expect(await running.ended).toMatchObject({ code: signal === "SIGINT" ? 130 : 143 });
      expect(terminal.left()).toEqual([]);
    },
  );

  test("tells the application to stop, and has its answer", async () => {
    const script = "trap 'echo told; exit 3' TERM; echo started; while :; do sleep 0.1; done";
    const running = terminal.start(["run", "--", "sh", "-c", script], await env());
    await running.prints("started");
    running.signal("SIGTERM");
    expect(await running.ended).toMatchObject({ code: 3, stdout: "started\ntold\n" });
    expect(terminal.left()).toEqual([]);
  });

  test("an application that is gone leaves the endpoint lists with it", async () => {
    const server = "require('net').createServer().listen(+process.argv[1], '127.0.0.1')";
    const port = await freePort();
    const flags = ["--port", `grpc=${port}`, "--interface", "gone.v1.Gone"];
    const running = terminal.start(
      ["run", "-o", "json", ...flags, "--", process.execPath, "-e", server, String(port)],
      await env(),
    );
    await running.prints('"ready":true');
    const instances = async (): Promise<number> => {
      const all = JSON.parse((await weft("interfaces", "-o", "json")).stdout) as {
        name: string;
        instances: string[];
      }[];
      return all.find(({ name }) => name === "gone.v1.Gone")?.instances.length ?? 0;
    };
    await expect.poll(instances, { timeout: 10_000 }).toBe(1);
    const { pid } = JSON.parse(running.stdout.split("\n")[0] ?? "") as { pid: number };
    process.kill(pid, "SIGKILL");
    expect(await running.ended).toMatchObject({ code: 137 });
    expect(await instances()).toBe(0);
  });

  test.each([
    ["namespace", ["-n", "elsewhere"]],
    ["service account", ["--service-account", "root"]],
  ])("refuses a token for another %s than it is asked for", async (_, flags) => {
    const ended = await terminal.run(["run", ...flags, "--", "true"], await env());
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain("the token is for spiffe://cluster.local/ns/echo-grpc/sa/app");
  });

  test("ends with the reason where the control plane refuses the token", async () => {
    const [version, , rootHash] = ((await env())["WEFT_TOKEN"] ?? "").split(".");
    const forged = { ...(await env()), WEFT_TOKEN: [version, "A".repeat(43), rootHash].join(".") };
    const ended = await terminal.run(["run", "--", "true"], forged);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("unknown here, or was revoked");
  });
});

describe("weft agent", () => {
  test("starts over a home that a killed agent left, and removes what is its own", async () => {
    const env = await mesh.joinEnvironment("app");
    const home = join(terminal.tmp, "home");
    mkdirSync(home, { mode: 0o755 });
    const first = terminal.start(["agent", "--home", home], env);
    await first.prints("export GRPC_XDS_BOOTSTRAP=");
    expect(statSync(home).mode & 0o777).toBe(0o700);
    expect(statSync(join(home, "xds.sock")).mode & 0o777).toBe(0o600);
    const rival = await terminal.run(["agent", "--home", home], env);
    expect(rival).toMatchObject({ code: 1 });
    expect(rival.stderr).toContain(`another agent runs in ${home}`);
    first.signal("SIGKILL");
    await first.ended;
    writeFileSync(join(home, "notes.txt"), "not the agent's");
    const second = terminal.start(["agent", "--home", home], env);
    await second.prints("export GRPC_XDS_BOOTSTRAP=");
    expect(readFileSync(join(home, "certificates", "cert-chain.pem"), "utf8")).toContain("BEGIN CERTIFICATE");
    second.signal("SIGTERM");
    expect(await second.ended).toMatchObject({ code: 0, stderr: "" });
    expect(terminal.left()).toEqual(["home"]);
    expect(readFileSync(join(home, "notes.txt"), "utf8")).toBe("not the agent's");
    expect(existsSync(join(home, "certificates"))).toBe(false);
  });

  test("doesn't take a directory that others may enter and that holds other things", async () => {
    const home = join(terminal.tmp, "home");
    mkdirSync(home, { mode: 0o755 });
    writeFileSync(join(home, "notes.txt"), "");
    const ended = await terminal.run(["agent", "--home", home], await mesh.joinEnvironment("app"));
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("holds other things");
    expect(statSync(home).mode & 0o777).toBe(0o755);
  });
});

describe("weft echo", () => {
  test("names the holder of a taken port", async () => {
    const port = mesh.controlPlaneAddress.split(":")[1] ?? "";
    const ended = await terminal.run(["echo", "--grpc", port], await mesh.joinEnvironment("echo"));
    expect(ended.stderr).toContain(`error: WEFT0313: 127.0.0.1:${port} is taken`);
    expect(ended.code).toBe(1);
  });

  test("ends well on a signal", async () => {
    const running = terminal.start(
      ["echo", "--grpc", "auto", "--xds-grpc-server", "auto"],
      await mesh.joinEnvironment("echo"),
    );
    await running.prints("through the mesh on");
    running.signal("SIGINT");
    expect(await running.ended).toMatchObject({ code: 0 });
  });
});

// What a step leaves depends on when it is told to stop.
test.each([
  ["at its start", "SIGINT", 100],
  ["while processes start", "SIGTERM", 1_500],
  ["while calls run", "SIGINT", 4_000],
] as const)("a walk-through that is stopped %s leaves nothing", async (_, signal, delayMs) => {
  const running = terminal.start(["demo"]);
  await after(delayMs);
  running.signal(signal);
  // npm passes on what the terminal has sent already.
  running.signal(signal);
  const { code, signal: by } = await running.ended;
  expect(code ?? by).not.toBe(0);
  expect(terminal.left()).toEqual([]);
  expect(processesWith(terminal.tmp)).toEqual([]);
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
