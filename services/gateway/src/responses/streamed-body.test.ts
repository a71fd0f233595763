// Streamed bodies over HTTP/1.1: readers that are slow, stop or leave, and bodies that fail or have the wrong length.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { HttpBodySchema } from "@muster/contracts/google/api/httpbody_pb";
import { systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { CallOptions } from "@muster/rpc";
import { waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { send, startTestGateway, type TestGateway } from "../test-gateway.ts";

const PATH = "/v1/profiles/p:export";
const MIB = 1024 * 1024;
const UNREAD_BYTES_MAX = 256 * 1024;
/** Generous: buffers of the kernel on both sides of a connection. */
const KERNEL_BYTES_MAX = 16 * MIB;
const STALL_MS = 400;

let muster: TestGateway;
let calls: CallOptions[];
/** Bytes that the gateway has taken from the service. */
let takenBytes: number;
let ended: number;

beforeEach(async () => {
  muster = await startTestGateway({
    limits: { streams: { stallMs: STALL_MS, unreadBytesMax: UNREAD_BYTES_MAX }, stalledTimeoutMs: 100 },
  });
  calls = [];
  takenBytes = 0;
  ended = 0;
});
afterEach(() => muster.gateway.stop(0));

/** Sends the pieces, then what `end` does. */
function sends(pieces: Iterable<string>, end: () => void = () => {}): void {
  muster.caller.messages = async function* (options) {
    calls.push(options);
    try {
      for (const piece of pieces) {
        if (options.signal.aborted) throw options.signal.reason;
        takenBytes += piece.length;
        yield create(HttpBodySchema, { contentType: "text/plain", data: Buffer.from(piece) });
      }
      end();
    } finally {
      ended += 1;
    }
  };
}

function* repeated(piece: string, count: number): Generator<string> {
  for (let index = 0; index < count; index += 1) yield piece;
}

function hasHeaders(headers: Record<string, string>): void {
  muster.caller.streamHeaders = new Map(
    Object.entries(headers).map(([name, value]) => [`muster-http-${name}`, value]),
  );
}

const fail = (): never => {
  throw new AppError("UNAVAILABLE");
};

/** A plain socket, which reads only on demand. */
async function open(version = "1.1"): Promise<Socket> {
  const socket = connect(muster.port, "127.0.0.1");
  socket.pause();
  await once(socket, "connect");
  socket.on("error", () => {});
  socket.write(`GET ${PATH} HTTP/${version}\r\nHost: x\r\nAuthorization: Bearer key\r\n\r\n`);
  return socket;
}

/** Everything until the connection ends; `delayMs` before each read. */
async function readAll(socket: Socket, delayMs = 0): Promise<{ bytes: number; text: string }> {
  let bytes = 0;
  let text = "";
  let isClosed = false;
  socket.on("close", () => {
    isClosed = true;
  });
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    text = (text + chunk.toString("latin1")).slice(-100);
    if (delayMs > 0) {
      socket.pause();
      void systemClock.sleep(delayMs, NEVER).then(() => socket.resume());
    }
  });
  socket.resume();
  await waitFor(() => isClosed || text.endsWith("\r\n0\r\n\r\n"), { timeoutMs: 30_000 });
  return { bytes, text };
}

const NEVER = new AbortController().signal;

test("a body arrives whole, with the headers that the handler set", async () => {
  hasHeaders({ etag: '"e"', "content-disposition": 'attachment; filename="a"', "content-length": "6" });
  sends(["ab", "", "cd", "ef"]);
  const response = await send(muster.port, PATH, { headers: { authorization: "Bearer key" } });
  expect(response).toMatchObject({ status: 200, text: "abcdef" });
  expect(response.headers).toMatchObject({
    "content-type": "text/plain",
    "content-length": "6",
    "content-disposition": 'attachment; filename="a"',
    etag: '"e"',
    "cache-control": "no-store",
  });
  expect(response.headers["transfer-encoding"]).toBeUndefined();
  await waitFor(() =>
    muster
      .logged()
      .some(({ route, status }) => route === "/v1/profiles/{profile_id}:export" && status === 200),
  );
});

test("the connection serves the next request", async () => {
  sends(["ab"]);
  const socket = connect(muster.port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  const request = `GET ${PATH} HTTP/1.1\r\nHost: x\r\n\r\n`;
  socket.write(request + request);
  await waitFor(() => text.split("\r\n0\r\n\r\n").length === 3);
  socket.destroy();
});

test("HEAD has the headers and no body", async () => {
  hasHeaders({ "content-length": "6" });
  sends(["abcdef"]);
  const response = await send(muster.port, PATH, { method: "HEAD" });
  expect(response).toMatchObject({ status: 200, text: "" });
  expect(response.headers["content-length"]).toBe("6");
  expect(calls[0]?.headers.get("muster-http-method")).toBe("HEAD");
  await waitFor(() => ended === 1);
});

test("a range reaches the handler, which a client's own metadata does not", async () => {
  hasHeaders({ status: "206", "content-range": "bytes 1-2/6", "content-length": "2" });
  sends(["bc"]);
  const headers = { range: "bytes=1-2", "if-range": '"e"', "muster-http-method": "HEAD" };
  const response = await send(muster.port, PATH, { headers });
  expect(response).toMatchObject({ status: 206, text: "bc" });
  expect(response.headers["content-range"]).toBe("bytes 1-2/6");
  expect(calls[0]?.headers.get("muster-http-range")).toBe("bytes=1-2");
  expect(calls[0]?.headers.get("muster-http-if-range")).toBe('"e"');
  expect(calls[0]?.headers.get("muster-http-method")).toBe("GET");
});

test("an error before the first piece is an ordinary response", async () => {
  sends([], () => {
    throw new AppError("RANGE_NOT_SATISFIABLE", { details: { size: "6" } });
  });
  const response = await send(muster.port, PATH);
  expect(response).toMatchObject({ status: 416, headers: { "content-range": "bytes */6" } });
  expect(response.json()).toMatchObject({ reason: "RANGE_NOT_SATISFIABLE" });
});

describe("a reader", () => {
  test("that is slow receives everything, and the gateway takes no more than fits", async () => {
    await muster.gateway.stop(0);
    muster = await startTestGateway({
      limits: { streams: { stallMs: 30_000, unreadBytesMax: UNREAD_BYTES_MAX } },
    });
    sends(repeated("x".repeat(64 * 1024), 640));
    const socket = await open();
    await waitFor(() => takenBytes > UNREAD_BYTES_MAX);
    await systemClock.sleep(STALL_MS, NEVER);
    expect(takenBytes).toBeLessThan(KERNEL_BYTES_MAX + UNREAD_BYTES_MAX);
    const { bytes } = await readAll(socket, 1);
    expect(bytes).toBeGreaterThan(40 * MIB);
    expect(ended).toBe(1);
    socket.destroy();
  });

  test("that stops reading loses its connection, and its call ends", async () => {
    sends(repeated("x".repeat(MIB), Number.POSITIVE_INFINITY));
    const socket = await open();
    await waitFor(() => ended === 1, { timeoutMs: 10_000 });
    expect(calls[0]?.signal.reason).toMatchObject({ reason: "OVERLOADED" });
    expect(takenBytes).toBeLessThan(KERNEL_BYTES_MAX + UNREAD_BYTES_MAX + 2 * MIB);
    const { text } = await readAll(socket);
    expect(text).not.toContain("\r\n0\r\n\r\n");
  });

  test("that leaves in the middle ends the call", async () => {
    sends(repeated("x".repeat(MIB), Number.POSITIVE_INFINITY));
    const socket = await open();
    socket.resume();
    await waitFor(() => takenBytes > 3 * MIB);
    socket.destroy();
    await waitFor(() => ended === 1);
    expect(calls[0]?.signal.aborted).toBe(true);
    await waitFor(() => muster.logged().some(({ reason }) => reason === "CANCELED"));
  });

  test("that leaves before the first piece ends the call", async () => {
    // biome-ignore lint/correctness/useYield: the client leaves before the first piece.
    muster.caller.messages = async function* (options) {
      calls.push(options);
      await once(options.signal, "abort");
      ended += 1;
      throw options.signal.reason;
    };
    const socket = await open();
    await waitFor(() => calls.length === 1);
    socket.destroy();
    await waitFor(() => ended === 1);
  });
});

describe("a body that is not whole ends with a reset connection", () => {
  const reset = { code: "ECONNRESET" };

  test("after a failure in the middle", async () => {
    sends(["ab"], fail);
    await expect(send(muster.port, PATH)).rejects.toMatchObject(reset);
    await waitFor(() =>
      muster.logged().some(({ reason, status }) => reason === "UNAVAILABLE" && status === 200),
    );
  });

  test("after a failure behind the last announced byte", async () => {
    hasHeaders({ "content-length": "2" });
    sends(["ab"], fail);
    await expect(send(muster.port, PATH)).rejects.toMatchObject(reset);
  });

  test.each([
    ["fewer", "3"],
    ["more", "1"],
  ])("with %s bytes than announced", async (_, length) => {
    hasHeaders({ "content-length": length });
    sends(["ab"]);
    await expect(send(muster.port, PATH)).rejects.toMatchObject(reset);
    await waitFor(() => muster.logged().some(({ reason }) => reason === "INTERNAL"));
  });

  test("for a client of HTTP/1.0, whose bodies end with the connection", async () => {
    sends(repeated("x".repeat(MIB), 2), fail);
    const socket = await open("1.0");
    let error: NodeJS.ErrnoException | undefined;
    socket.on("error", (failure) => {
      error = failure;
    });
    const { bytes } = await readAll(socket);
    expect(bytes).toBeLessThan(2 * MIB + 1000);
    expect(error?.code).toBe("ECONNRESET");
  });

  test("when the gateway stops and the time is up", async () => {
    muster.caller.messages = async function* (options) {
      calls.push(options);
      yield create(HttpBodySchema, { data: Buffer.from("ab") });
      yield create(HttpBodySchema, { data: Buffer.from("cd") });
      await once(options.signal, "abort");
      throw options.signal.reason;
    };
    const response = send(muster.port, PATH).then(
      () => "whole",
      (error: NodeJS.ErrnoException) => error.code,
    );
    await waitFor(() => calls.length === 1);
    await muster.gateway.stop(100);
    expect(await response).toBe("ECONNRESET");
  });
});

test("streams take a share of the budget, so an organization has a limited number of them", async () => {
  await muster.gateway.stop(0);
  const bytesMax = 10 * UNREAD_BYTES_MAX;
  muster = await startTestGateway({
    limits: {
      streams: { stallMs: 30_000, unreadBytesMax: UNREAD_BYTES_MAX },
      responses: { bytesMax, shareBytesMax: 3.5 * UNREAD_BYTES_MAX },
    },
  });
  sends(repeated("x".repeat(MIB), Number.POSITIVE_INFINITY));
  const sockets = [await open(), await open(), await open()];
  await waitFor(() => calls.length === 3 && takenBytes > 3 * MIB);
  const refused = await send(muster.port, PATH, { headers: { authorization: "Bearer key" } });
  expect([refused.status, refused.json().reason]).toEqual([429, "OVERLOADED"]);
  await waitFor(() => ended === 1);
  for (const socket of sockets) socket.destroy();
  await waitFor(() => ended === 4);
  sends(["ab"]);
  const served = await send(muster.port, PATH, { headers: { authorization: "Bearer key" } });
  expect(served.text).toBe("ab");
});
