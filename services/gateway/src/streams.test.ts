// Streams over HTTP/1.1: clients that stop reading, and a gateway that stops.
import { connect, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { TailEventsResponseSchema } from "@muster/contracts/muster/events/v1/event_service_pb";
import { systemClock } from "@muster/core";
import type { AppError } from "@muster/errors";
import type { CallOptions } from "@muster/rpc";
import { waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTestGateway, type TestGateway } from "./test-gateway.ts";

const STALL_MS = 400;
const STALLED_TIMEOUT_MS = 100;
const UNREAD_BYTES_MAX = 256 * 1024;
/** Generous: buffers of the kernel on both sides of a connection. */
const KERNEL_BYTES_MAX = 16 * 1024 * 1024;
const TYPES = ["application/connect+json", "application/connect+proto", "application/grpc-web+proto"];

let muster: TestGateway;
let calls: CallOptions[];
/** Bytes that the handlers have sent. */
let sentBytes: number;
let ended: number;

beforeEach(async () => {
  muster = await startTestGateway({
    limits: {
      streams: { stallMs: STALL_MS, unreadBytesMax: UNREAD_BYTES_MAX },
      stalledTimeoutMs: STALLED_TIMEOUT_MS,
    },
  });
  calls = [];
  sentBytes = 0;
  ended = 0;
});
afterEach(() => muster.gateway.stop(0));

/** Sends messages of this size until the call is aborted; `most` messages at most, and then waits. */
function sends(bytes: number, most = Number.POSITIVE_INFINITY): void {
  muster.caller.messages = async function* (options) {
    calls.push(options);
    const aborted = new Promise<void>((resolve) => {
      options.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    try {
      for (let message = 0; message < most && !options.signal.aborted; message += 1) {
        sentBytes += bytes;
        yield create(TailEventsResponseSchema, { resumeToken: "x".repeat(bytes) });
        await new Promise((resolve) => setImmediate(resolve));
      }
      await aborted;
      throw options.signal.reason;
    } finally {
      ended += 1;
    }
  };
}

interface Tail {
  readonly socket: Socket;
  text: string;
  isClosed: boolean;
}

/** Calls TailEvents on a plain socket, which reads only if `reads`. */
function tail(contentType: string, { reads = true } = {}): Tail {
  const body = contentType.endsWith("json") ? "\0\0\0\0\x02{}" : "\0\0\0\0\0";
  const socket = connect(muster.port, "127.0.0.1", () =>
    socket.write(
      "POST /muster.events.v1.EventService/TailEvents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key\r\n" +
        `Content-Type: ${contentType}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    ),
  );
  const opened: Tail = { socket, text: "", isClosed: false };
  socket.on("error", () => {});
  socket.on("close", () => {
    opened.isClosed = true;
  });
  if (reads) read(opened);
  return opened;
}

function read(opened: Tail): void {
  opened.socket.on("data", (chunk: Buffer) => {
    opened.text += chunk.toString("latin1");
  });
}

const reasonOf = ({ signal }: CallOptions): string => (signal.reason as AppError).reason;

describe.each(TYPES)("a client of %s that stops reading", (contentType) => {
  test.each([
    ["a flood of small messages", 1_000, Number.POSITIVE_INFINITY],
    ["a flood of large messages", 1_000_000, Number.POSITIVE_INFINITY],
    ["a burst, and then silence", 200_000, 100],
  ])("loses its stream: %s", async (_, bytes, most) => {
    sends(bytes, most);
    const stalled = tail(contentType, { reads: false });
    await waitFor(() => ended === 1, { timeoutMs: 10_000 });
    expect(calls.map(reasonOf)).toEqual(["OVERLOADED"]);
    expect(sentBytes).toBeLessThan(KERNEL_BYTES_MAX + UNREAD_BYTES_MAX + 2 * bytes);
    // Past the time in which the client could still read the reason.
    await systemClock.sleep(5 * STALLED_TIMEOUT_MS);
    read(stalled);
    await waitFor(() => stalled.isClosed);
  });
});

test("a client that reads again in time receives the reason", async () => {
  await muster.gateway.stop(0);
  muster = await startTestGateway({
    limits: { streams: { stallMs: STALL_MS, unreadBytesMax: UNREAD_BYTES_MAX } },
  });
  sends(1_000_000);
  const stalled = tail("application/connect+json", { reads: false });
  await waitFor(() => ended === 1, { timeoutMs: 10_000 });
  read(stalled);
  await waitFor(() => stalled.text.includes('"resource_exhausted"'));
  expect(stalled.text).toContain("read too slowly");
  stalled.socket.destroy();
});

test("a quiet stream whose client reads is kept", async () => {
  sends(10, 3);
  const quiet = tail("application/connect+json");
  await waitFor(() => calls.length === 1);
  await systemClock.sleep(3 * STALL_MS);
  expect(ended).toBe(0);
  quiet.socket.destroy();
  await waitFor(() => ended === 1);
});

describe.each(TYPES)("a gateway that stops, %s", (contentType) => {
  test("ends its tails with a status that asks to connect again", async () => {
    sends(10, 1);
    const open = tail(contentType);
    await waitFor(() => open.text.includes("xxxxxxxxxx"));
    const startMs = systemClock.monotonicMs();
    await muster.gateway.stop(20_000);
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(5_000);
    await waitFor(() => open.isClosed);
    expect(calls.map(reasonOf)).toEqual(["UNAVAILABLE"]);
    if (contentType.startsWith("application/grpc-web")) {
      expect(open.text).toContain("grpc-status: 14");
      expect(open.text.toLowerCase()).toContain("grpc-status-details-bin");
    } else {
      expect(open.text).toContain('"code":"unavailable"');
      expect(open.text).toContain("google.rpc.RetryInfo");
    }
    expect(open.text).toMatch(/going(?: |%20)away/);
  });
});
