// Bounds the responses of unary calls that a gRPC caller does not read, by bytes for each connection and by time.
import type { ServerHttp2Stream } from "node:http2";
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { OutputLimits } from "../streams/output-guard.ts";
import { resetStream, streamOf } from "./node-streams.ts";

/** Smaller responses are bounded by the number of calls of a connection, and cost no timer. */
const SMALL_BYTES = 16 * 1024;
/** Unread responses of a connection, as a multiple of the unread output of one stream: 16 MiB. */
const STREAMS = 64;
const RETRY_MS = 1_000;
/** A constant reason saves a DOMException per call. */
const READ = "read";

/** The unread responses of one server. */
export class UnreadResponses {
  readonly #clock: Clock;
  readonly #limits: OutputLimits;
  /** Unread bytes by connection. */
  readonly #bytes = new WeakMap<object, number>();

  constructor(clock: Clock, limits: OutputLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Throws OVERLOADED if the connection has too many unread responses; call before the response is sent. */
  add(call: unknown, bytes: number): void {
    const stream = streamOf(call);
    const connection = stream?.session;
    if (bytes < SMALL_BYTES || stream === undefined || !connection || stream.closed) return;
    const unread = (this.#bytes.get(connection) ?? 0) + bytes;
    if (unread > STREAMS * this.#limits.unreadBytesMax) throw tooManyUnread();
    this.#bytes.set(connection, unread);
    const read = new AbortController();
    stream.once("close", () => {
      this.#bytes.set(connection, (this.#bytes.get(connection) ?? bytes) - bytes);
      read.abort(READ);
    });
    void this.#watch(call, stream, read.signal);
  }

  /** Resets the stream when its output waits for the whole time without progress. */
  async #watch(call: unknown, stream: ServerHttp2Stream, read: AbortSignal): Promise<void> {
    for (let before = Number.POSITIVE_INFINITY; ; ) {
      await this.#clock.sleep(this.#limits.stallMs, read);
      if (read.aborted || stream.closed) return;
      const waiting = waitingBytes(stream);
      if (waiting >= before) resetStream(call);
      before = waiting;
    }
  }
}

/** Bytes that the caller has not made room for. */
function waitingBytes(stream: ServerHttp2Stream): number {
  return stream.bufferSize + stream.writableLength;
}

function tooManyUnread(): AppError {
  return new AppError("OVERLOADED", {
    message: "The responses of this connection are read too slowly. Read them, and try again.",
    retryAfterMs: RETRY_MS,
  });
}
