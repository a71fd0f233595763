// Tests that a stream with a stalled reader ends: the handler stops, and the waiting output is freed.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientReadableStream, credentials, Metadata, status } from "@grpc/grpc-js";
import {
  BatchRecordEventsRequestSchema,
  TailEventsRequestSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { FakeClock, waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type GrpcServer, startGrpcServer } from "../src/index.ts";
import { OutputGuard } from "../src/streams/output-guard.ts";
import { silent } from "./mounts.ts";
import { type TestModule, testModule } from "./test-module.ts";

const STALL_MS = 400;
const UNREAD_BYTES_MAX = 256 * 1024;

let module: TestModule;
let server: GrpcServer;
let client: Client;

beforeEach(async () => {
  module = testModule();
  server = await startGrpcServer({
    dispatchers: [module.dispatcher],
    host: "127.0.0.1",
    port: 0,
    log: silent,
    output: { stallMs: STALL_MS, unreadBytesMax: UNREAD_BYTES_MAX },
  });
  client = new Client(server.address, credentials.createInsecure());
});
afterEach(async () => {
  client.close();
  await server.stop(0);
});

const REQUEST = (...names: string[]): Buffer =>
  Buffer.from(toBinary(TailEventsRequestSchema, create(TailEventsRequestSchema, { names })));
const PATH = "/muster.events.v1.EventService/TailEvents";

/** A tail that reads only the messages that grpc-js reads ahead, until a listener of "data" is added. */
function tail(...names: string[]): ClientReadableStream<Buffer> {
  const metadata = new Metadata();
  metadata.set("authorization", "Bearer reader");
  const pass = (value: Buffer): Buffer => value;
  const call = client.makeServerStreamRequest<Buffer, Buffer>(PATH, pass, pass, REQUEST(...names), metadata);
  call.on("error", () => {});
  // Without a listener grpc-js would read the whole stream into memory.
  call.on("readable", () => {});
  return call;
}

function outcomeOf(call: ClientReadableStream<Buffer>): Promise<{ code: number; messages: number }> {
  let messages = 0;
  return new Promise((resolve) => {
    call.on("status", ({ code }) => resolve({ code, messages }));
    call.removeAllListeners("readable");
    call.on("data", () => {
      messages += 1;
    });
  });
}

/** A tail without a reader: the window of the client takes the first 64 KiB. */
function rawTail(...names: string[]): ClientHttp2Stream {
  const session = connect(`http://${server.address}`);
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": PATH,
    "content-type": "application/grpc",
    te: "trailers",
    authorization: "Bearer reader",
  });
  stream.on("error", () => {});
  const request = REQUEST(...names);
  const envelope = Buffer.alloc(5);
  envelope.writeUInt32BE(request.length, 1);
  stream.end(Buffer.concat([envelope, request]));
  return stream;
}

const endedWith = (code: string): boolean => module.observed.log.some(({ fields }) => fields.code === code);

describe("a gRPC client that does not read", () => {
  test.each([
    ["a flood", "floods", 1_000],
    ["large messages", "floods", 1_000_000],
    ["a quiet stream whose output is below the limit of bytes", "bursts", 60_000],
  ])("ends: %s", async (_, behavior, size) => {
    const stream = rawTail(behavior, String(size));
    await waitFor(() => module.observed.ended === 1);
    await waitFor(() => endedWith("resource_exhausted"));
    expect(module.keys.followers).toBe(0);
    expect(module.observed.yielded * size).toBeLessThan(UNREAD_BYTES_MAX + 65_536 + 2 * size);
    stream.resume();
    await waitFor(() => stream.closed);
    expect(stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    stream.session?.destroy();
  });

  test("a hundred of them leave room for the next stream", async () => {
    const calls = Array.from({ length: 100 }, () => tail("floods", "1000"));
    await waitFor(() => module.observed.ended === 100, { timeoutMs: 20_000 });
    const next = tail();
    expect(await outcomeOf(next)).toEqual({ code: status.OK, messages: 1 });
    for (const call of calls) call.cancel();
  });
});

describe("a caller that does not read its unary responses", () => {
  const BATCH = "/muster.events.v1.EventService/BatchRecordEvents";
  const events = Array.from({ length: 5_000 }, () => ({}));
  const message = toBinary(
    BatchRecordEventsRequestSchema,
    create(BatchRecordEventsRequestSchema, { events }),
  );

  /** A connection whose window has no room for a response of about 25 KB. */
  function blocked(address: string): { readonly session: ClientHttp2Session; call(): ClientHttp2Stream } {
    const session = connect(`http://${address}`, { settings: { initialWindowSize: 0 } });
    session.on("error", () => {});
    const call = (): ClientHttp2Stream => {
      const stream = session.request({
        ":method": "POST",
        ":path": BATCH,
        "content-type": "application/grpc",
        te: "trailers",
        authorization: "Bearer writer",
      });
      stream.on("error", () => {});
      const envelope = Buffer.alloc(5);
      envelope.writeUInt32BE(message.length, 1);
      stream.end(Buffer.concat([envelope, message]));
      return stream;
    };
    return { session, call };
  }

  test("loses them after a while", async () => {
    const { session, call } = blocked(server.address);
    const stream = call();
    await waitFor(() => stream.closed, { timeoutMs: 10_000 });
    expect(stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    session.destroy();
  });

  test("gets no more of them beyond a number of bytes", async () => {
    const small = await startGrpcServer({
      dispatchers: [module.dispatcher],
      host: "127.0.0.1",
      port: 0,
      log: silent,
      output: { unreadBytesMax: 1_000 },
    });
    const { session, call } = blocked(small.address);
    const statusOf = (stream: ClientHttp2Stream): Promise<string> =>
      new Promise((resolve) => {
        stream.on("response", (headers) => {
          const code = headers["grpc-status"];
          if (typeof code === "string") resolve(code);
        });
        stream.on("trailers", (trailers) => resolve(String(trailers["grpc-status"])));
      });
    const statuses = [call(), call(), call()].map(statusOf);
    expect(await Promise.race(statuses)).toBe(String(status.RESOURCE_EXHAUSTED));
    session.destroy();
    const next = blocked(small.address);
    next.session.settings({ initialWindowSize: 1_000_000 });
    const stream = next.call();
    stream.resume();
    expect(await statusOf(stream)).toBe(String(status.OK));
    next.session.destroy();
    await small.stop(0);
  });
});

test("a client that reads slowly, but reads, is kept", async () => {
  const call = tail("floods", "10000");
  let messages = 0;
  const until = performance.now() + 3 * STALL_MS;
  call.removeAllListeners("readable");
  call.on("data", () => {
    messages += 1;
    call.pause();
    setTimeout(() => call.resume(), STALL_MS / 20);
  });
  await waitFor(() => performance.now() > until);
  expect(messages).toBeGreaterThan(10);
  expect(module.observed.ended).toBe(0);
  call.cancel();
  await waitFor(() => module.observed.ended === 1);
  expect(endedWith("canceled")).toBe(true);
});

describe("the guard", () => {
  const limits = { unreadBytesMax: 1_000, stallMs: 30_000 };

  test("waits for room by bytes, and ends by time since the last progress", async () => {
    const clock = new FakeClock();
    const stalls: string[] = [];
    const guard = new OutputGuard({ clock, limits, onStall: ({ reason }) => stalls.push(reason) });
    const first = guard.add(600);
    expect(guard.isFull).toBe(false);
    guard.add(600);
    expect(guard.isFull).toBe(true);
    let hasRoom = false;
    const room = guard.room().then(() => {
      hasRoom = true;
    });
    await clock.advance(29_999);
    expect(hasRoom).toBe(false);
    first();
    await room;
    await clock.advance(29_999);
    expect(stalls).toEqual([]);
    await clock.advance(1);
    expect(stalls).toEqual(["OVERLOADED"]);
    await clock.advance(60_000);
    expect(stalls).toHaveLength(1);
  });

  test("keeps no timer once the output is taken or the stream is over", async () => {
    const clock = new FakeClock();
    const guard = new OutputGuard({ clock, limits, onStall: () => expect.unreachable() });
    guard.add(1)();
    await clock.advance(30_000);
    expect(clock.sleeperCount).toBe(0);
    guard.add(1);
    guard.close();
    await clock.advance(0);
    expect(clock.sleeperCount).toBe(0);
  });

  test("counts from the first unread message, however long the stream was quiet", async () => {
    const clock = new FakeClock();
    const stalls: string[] = [];
    const guard = new OutputGuard({ clock, limits, onStall: ({ reason }) => stalls.push(reason) });
    guard.add(1)();
    await clock.advance(29_000);
    guard.add(1);
    await clock.advance(29_000);
    expect(stalls).toEqual([]);
    await clock.advance(1_000);
    expect(stalls).toHaveLength(1);
  });
});
