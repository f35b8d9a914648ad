/** The adapters on real files, sockets and threads. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import { OrreryError } from "@orrery/base";
import { parsePublicKeyDer } from "@orrery/crypto";
import { ed25519Signer, p256Signer, secp256k1Signer } from "@orrery/crypto/curves";
import { checksumPure } from "@orrery/state/checksum";
import {
  BODY_BYTES_MAX,
  createChannel,
  createFileDisk,
  createNodeSigner,
  createStreamLogger,
  inflateGzip,
  LOCK_FILE,
  lockDirectory,
  nodeChecksum,
  nodePublicKeyDer,
  nodeSha256,
  startHttpServer,
} from "./index.ts";
import { nodeSignatures } from "./signatures.ts";

function inTemp<T>(action: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "orrery-host-"));
  try {
    return action(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const codeOf = (code: string) => (error: unknown) => error instanceof OrreryError && error.code === code;

test("a file reads back what was written, across rename and reopening", () => {
  inTemp((directory) => {
    const disk = createFileDisk(directory);
    assert.throws(() => disk.open("a", { create: false }), codeOf("file_missing"));
    const file = disk.open("a", { create: true });
    file.write(0, Uint8Array.of(1, 2, 3, 4));
    file.write(2, Uint8Array.of(9));
    file.truncate(3);
    file.sync();
    file.close();
    disk.rename("a", "b");
    disk.syncDirectory();
    assert.deepEqual(disk.list(), ["b"]);
    const again = disk.open("b", { create: false });
    assert.deepEqual([...again.read(0, 100)], [1, 2, 9]);
    assert.equal(again.size, 3);
    again.close();
    disk.remove("b");
    assert.deepEqual(disk.list(), []);
  });
});

test("a directory is held by one process, and a dead holder's lock is taken over", () => {
  inTemp((directory) => {
    const lock = lockDirectory(directory);
    assert.throws(() => lockDirectory(directory), codeOf("state_dir_locked"));
    lock.release();
    writeFileSync(join(directory, LOCK_FILE), JSON.stringify({ pid: 2 ** 22 + 1, startedAt: null }));
    lockDirectory(directory).release();
    // The same pid with another start time is another process.
    writeFileSync(join(directory, LOCK_FILE), JSON.stringify({ pid: process.pid, startedAt: "0" }));
    if (process.platform === "linux") lockDirectory(directory).release();
  });
});

test("a taken port names a free one", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as { port: number };
  const options = {
    port,
    bind: "127.0.0.1",
    handle: () => ({ status: 200, headers: {}, body: "" }),
    onError: () => {},
  };
  await assert.rejects(startHttpServer(options), (error: OrreryError) => {
    assert.equal(error.code, "port_taken");
    assert.match(error.message, /use --port \d+/);
    return true;
  });
  taken.close();
});

test("bodies arrive whole and are bounded", async () => {
  const server = await startHttpServer({
    port: 0,
    bind: "127.0.0.1",
    handle: (request) => ({
      status: 200,
      headers: { "content-type": "text/plain" },
      body: String(request.body.length),
    }),
    onError: () => {},
  });
  const url = `http://127.0.0.1:${server.port}/`;
  const fine = await fetch(url, { method: "POST", body: new Uint8Array(3_000_000) });
  assert.equal(await fine.text(), "3000000");
  // The larger one does not fit into the system's buffers: the client is still sending when it is answered.
  for (const length of [BODY_BYTES_MAX + 1, 16 * BODY_BYTES_MAX]) {
    const tooLarge = await fetch(url, { method: "POST", body: new Uint8Array(length) });
    assert.equal(tooLarge.status, 413);
    assert.match(await tooLarge.text(), /is over 5242880 bytes/);
  }
  await server.close();
});

test("a body that does not arrive in time is 408, and the handler is not asked", async () => {
  let asked = 0;
  const server = await startHttpServer({
    port: 0,
    bind: "127.0.0.1",
    bodyTimeoutMs: 20,
    handle: () => {
      asked++;
      return { status: 200, headers: {}, body: "" };
    },
    onError: () => {},
  });
  const socket = connect(server.port, "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf");
  let answer = "";
  // The server ends the connection: nothing here waits for a time.
  for await (const piece of socket.setEncoding("utf8")) answer += piece;
  assert.match(answer, /^HTTP\/1\.1 408 /);
  assert.equal(asked, 0);
  await server.close();
});

test("bodies in pieces arrive whole, repeated headers apart, and a failure cuts the connection", async () => {
  const failures: unknown[] = [];
  const server = await startHttpServer({
    port: 0,
    bind: "127.0.0.1",
    handle: (request) => ({
      status: 200,
      headers: {
        "set-cookie": ["a=1", "b=2"],
        "x-asked": request
          .headers()
          .map(([name]) => name)
          .join(),
      },
      body: "",
      stream: (async function* () {
        yield Buffer.from("one ");
        if (request.url === "/fails") throw new Error("no more");
        yield Buffer.from("two");
      })(),
    }),
    onError: (error) => failures.push(error),
  });
  const url = `http://127.0.0.1:${server.port}`;
  const whole = await fetch(url, { headers: { "X-Mine": "1" } });
  assert.deepEqual(whole.headers.getSetCookie(), ["a=1", "b=2"]);
  assert.match(whole.headers.get("x-asked") ?? "", /^host,.*x-mine/);
  assert.equal(await whole.text(), "one two");
  await assert.rejects(fetch(`${url}/fails`).then((response) => response.text()));
  assert.equal(failures.length, 1);
  await server.close();
});

test("responses to HEAD keep the length given, those without a body have none", async () => {
  const server = await startHttpServer({
    port: 0,
    bind: "127.0.0.1",
    handle: ({ url }) => ({
      status: url === "/none" ? 304 : 200,
      headers: { "content-length": "12" },
      body: "",
    }),
    onError: () => {},
  });
  const url = `http://127.0.0.1:${server.port}`;
  assert.equal((await fetch(url, { method: "HEAD" })).headers.get("content-length"), "12");
  assert.equal((await fetch(url)).headers.get("content-length"), "0");
  assert.equal((await fetch(`${url}/none`)).headers.get("content-length"), null);
  await server.close();
});

test("a client that takes nothing of a long body is cut off, and others are served", async () => {
  const piece = new Uint8Array(1024 * 1024);
  const server = await startHttpServer({
    port: 0,
    bind: "127.0.0.1",
    stallTimeoutMs: 100,
    handle: ({ url }) => ({
      status: 200,
      headers: {},
      body: url === "/whole" ? new Uint8Array(64 * piece.length) : "",
      ...(url !== "/pieces"
        ? {}
        : {
            stream: (async function* () {
              for (;;) yield piece;
            })(),
          }),
    }),
    onError: () => {},
  });
  for (const path of ["/whole", "/pieces"]) {
    const client = connect(server.port, "127.0.0.1");
    client.pause();
    client.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
    client.on("error", () => {});
    await once(client, "connect");
    // Others are served while the server's patience runs out.
    const startedMs = performance.now();
    while (performance.now() - startedMs < 500) {
      assert.equal((await fetch(`http://127.0.0.1:${server.port}/`)).status, 200);
    }
    let received = 0;
    client.on("data", (data) => {
      received += data.length;
    });
    client.resume();
    await once(client, "close");
    assert.ok(received < 64 * piece.length, `${path}: ${received} bytes`);
  }
  await server.close();
});

test("a channel carries posts, answers and coded errors", async () => {
  const { port1, port2 } = new MessageChannel();
  const posts: string[] = [];
  const a = createChannel<string, never, number>(port1, { onPost: () => {} });
  createChannel<never, string, never, number>(port2, {
    onPost: (message) => posts.push(message),
    onCall: (n) => {
      if (n < 0) throw new OrreryError("negative", "no negative numbers");
      return n % 2 === 0 ? n / 2 : Promise.resolve(3 * n + 1);
    },
  });
  a.post("hello");
  assert.equal(await a.call(10), 5);
  assert.equal(await a.call(5), 16);
  await assert.rejects(a.call(-1), codeOf("negative"));
  assert.deepEqual(posts, ["hello"]);
  port1.close();
});

test("calls and posts arrive in the order they were sent; a long call does not keep back the answers before it", async () => {
  const { port1, port2 } = new MessageChannel();
  const seen: (string | number)[] = [];
  const answered: number[] = [];
  const a = createChannel<string, never, number>(port1, { onPost: () => {} });
  createChannel<never, string, never, number>(port2, {
    onPost: (message) => seen.push(message),
    mayTakeLong: (n) => n >= 100,
    onCall(n): number {
      seen.push(n);
      // What was answered before a long call is in the caller's port while it runs.
      if (n >= 100) answered.push(receiveMessageOnPort(port1) === undefined ? 0 : 1);
      return n;
    },
  });
  const calls = [a.call(1), a.call(2)];
  a.post("x");
  calls.push(a.call(3));
  a.post("y");
  assert.equal(a.pending, 3);
  assert.deepEqual(await Promise.all(calls), [1, 2, 3]);
  assert.deepEqual(seen, [1, 2, "x", 3, "y"]);
  void a.call(4);
  void a.call(100);
  while (answered.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(answered, [1]);
  port1.close();
});

test("inflation is bounded, hashes agree, log lines carry fields", () => {
  assert.throws(() => inflateGzip(Uint8Array.of(1, 2, 3), 100), codeOf("gzip_invalid"));
  assert.equal(nodeSha256(new Uint8Array(0))[0], 0xe3);
  for (const length of [0, 63, 64, 5_000]) {
    const bytes = new Uint8Array(length).map((_, i) => (i * 31) & 255);
    assert.equal(nodeChecksum(bytes, 7), checksumPure(bytes, 7));
  }
  const lines: string[] = [];
  const log = createStreamLogger({ write: (line) => lines.push(line), level: "info" }).child({
    thread: "main",
  });
  log.log("debug", "hidden");
  log.log("info", "shown", { height: 3, text: "a b" });
  assert.equal(lines.length, 1);
  assert.match(lines[0] as string, /info {2}shown thread=main height=3 text="a b"\n$/);
});

test("OpenSSL and the pure curves give the same verdicts", () => {
  const message = new TextEncoder().encode("message");
  for (const [scheme, signer] of [
    ["ed25519", ed25519Signer],
    ["p256", p256Signer],
    ["secp256k1", secp256k1Signer],
  ] as const) {
    const pair = signer(new Uint8Array(32).fill(7));
    const signature = pair.sign(message);
    const parsed = parsePublicKeyDer(pair.publicKeyDer);
    assert(parsed.ok && parsed.value.kind === scheme);
    const key = parsed.value.kind === "ed25519" ? parsed.value.key : parsed.value.point;
    assert.equal(nodeSignatures[scheme](key, message, signature), true, scheme);
    for (const at of [0, 31, 32, 63]) {
      const bent = signature.slice();
      bent[at] = (bent[at] as number) ^ 1;
      assert.equal(nodeSignatures[scheme](key, message, bent), false, scheme);
    }
    assert.equal(nodeSignatures[scheme](key, new Uint8Array(1), signature), false, scheme);
    assert.equal(nodeSignatures[scheme](new Uint8Array(key.length), message, signature), false, scheme);
  }
  const seed = new Uint8Array(32).fill(9);
  assert.deepEqual(nodePublicKeyDer(seed), ed25519Signer(seed).publicKeyDer);
  assert.deepEqual(createNodeSigner(seed)(message), ed25519Signer(seed).sign(message));
});
