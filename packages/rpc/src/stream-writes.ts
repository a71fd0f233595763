// Backpressure of Node's writable streams for code that awaits.
import type { Writable } from "node:stream";

/** Every way in which waiting for room ends: there is room, or nobody will read any more. */
const ENDINGS = ["drain", "close", "error", "cancelled", "status"] as const;

/** Resolves when the stream takes more, or has ended; the next write or read then tells which. */
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
