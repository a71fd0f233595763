// Adapts Node's streams to async code: reading without owning the stream, writing with backpressure.
import { constants, type ServerHttp2Stream } from "node:http2";
import type { Readable, Writable } from "node:stream";
import { AppError } from "@muster/errors";

/**
 * The chunks of a stream, read on demand. Unlike the stream's own iterator, this iterator never destroys the
 * stream: a call whose handler fails while a read is pending must still send its status.
 */
export async function* readChunks<T>(stream: Readable): AsyncIterable<T> {
  let wake: () => void = () => {};
  const onChange = (): void => wake();
  const events = ["readable", "end", "close"] as const;
  for (const event of events) stream.on(event, onChange);
  try {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const chunk: T | null = stream.read();
      if (chunk !== null) yield chunk;
      else if (stream.readableEnded) return;
      else if (stream.destroyed) throw new AppError("CANCELED");
      else await changed;
    }
  } finally {
    for (const event of events) stream.removeListener(event, onChange);
  }
}

/** Events that end a wait for room: room is available, or the reader is gone. */
const ENDINGS = ["drain", "close", "error", "cancelled", "status"] as const;

/** Resolves when the stream accepts more data or has ended; the next write or read shows which. */
export function writableAgain(stream: Writable): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ENDINGS) stream.removeListener(event, done);
      resolve();
    };
    for (const event of ENDINGS) stream.on(event, done);
  });
}

/** The parts of a grpc-js server call between the call and its HTTP/2 stream; not declared by the library. */
interface InnerCall {
  readonly call?: InnerCall;
  readonly nextCall?: InnerCall;
  readonly stream?: ServerHttp2Stream;
}

/** Returns the HTTP/2 stream of a grpc-js server call. */
export function streamOf(call: unknown): ServerHttp2Stream | undefined {
  let inner: InnerCall | undefined = call as InnerCall;
  while (inner !== undefined && inner.stream === undefined) inner = inner.call ?? inner.nextCall;
  return inner?.stream;
}

/**
 * Resets the HTTP/2 stream of a call whose peer does not read, and so frees the output that waits. gRPC clients
 * read the code as RESOURCE_EXHAUSTED. The library itself ends a stream only behind the output.
 */
export function resetStream(call: unknown): void {
  streamOf(call)?.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}
