// Reads the messages of a grpc-js call ahead of the consumer. grpc-js drops messages that wait inside the library when
// the call ends with an error, so every message is taken over as it arrives, up to a limit of bytes.
import type { Readable } from "node:stream";

/** Bytes of unread messages above which the peer has to wait. */
const READ_AHEAD_BYTES = 256 * 1024;

interface Received {
  readonly unread: Buffer[];
  unreadBytes: number;
  failure: unknown;
  hasEnded: boolean;
  wake: () => void;
}

/** The messages of the call, in order. Throws the error of the call after its last message. */
export function readAhead(call: Readable): AsyncIterable<Buffer> {
  const received: Received = {
    unread: [],
    unreadBytes: 0,
    failure: undefined,
    hasEnded: false,
    wake: () => {},
  };
  call.on("data", (bytes: Buffer) => {
    received.unread.push(bytes);
    received.unreadBytes += bytes.byteLength;
    if (received.unreadBytes > READ_AHEAD_BYTES) call.pause();
    received.wake();
  });
  call.on("error", (error: unknown) => {
    received.failure = error;
    received.wake();
  });
  for (const event of ["end", "close"]) {
    call.on(event, () => {
      received.hasEnded = true;
      received.wake();
    });
  }
  return messagesOf(call, received);
}

async function* messagesOf(call: Readable, received: Received): AsyncIterable<Buffer> {
  for (;;) {
    const next = received.unread.shift();
    if (next !== undefined) {
      received.unreadBytes -= next.byteLength;
      yield next;
      continue;
    }
    if (received.hasEnded) {
      if (received.failure !== undefined) throw received.failure;
      return;
    }
    const changed = new Promise<void>((resolve) => {
      received.wake = resolve;
    });
    // Also after an error, because messages that the stream still holds come before its end.
    call.resume();
    await changed;
  }
}
