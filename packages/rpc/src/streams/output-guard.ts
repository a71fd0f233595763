// Bounds the unread output of a stream by bytes and by time. Otherwise a stalled reader would keep the handler,
// a place among the organization's streams and memory for ever.
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";

export interface OutputLimits {
  /** Beyond this size the handler waits; one more message may be written. */
  readonly unreadBytesMax: number;
  /** A stream ends when output waits for this time without progress. */
  readonly stallMs: number;
}

export const OUTPUT_LIMITS: OutputLimits = { unreadBytesMax: 256 * 1024, stallMs: 30_000 };

/** Memory of a message besides its bytes. */
const MESSAGE_OVERHEAD_BYTES = 64;
const RETRY_MS = 1_000;

export interface OutputGuardOptions {
  readonly clock: Clock;
  readonly limits: OutputLimits;
  /** Receives the error for the reader, at most once. */
  readonly onStall: (error: AppError) => void;
}

export class OutputGuard {
  readonly #clock: Clock;
  readonly #limits: OutputLimits;
  readonly #onStall: (error: AppError) => void;
  readonly #over = new AbortController();
  #unreadBytes = 0;
  #progressMs = 0;
  #isWatching = false;
  #wake: (() => void) | undefined;

  constructor(options: OutputGuardOptions) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#onStall = options.onStall;
  }

  /** Counts a written message. The returned function reports that the transport took the message. */
  add(bytes: number): () => void {
    const size = bytes + MESSAGE_OVERHEAD_BYTES;
    if (this.#unreadBytes === 0) this.#progressMs = this.#clock.monotonicMs();
    this.#unreadBytes += size;
    if (!this.#isWatching) void this.#watch();
    return () => {
      this.#unreadBytes -= size;
      this.#progressMs = this.#clock.monotonicMs();
      if (!this.isFull) this.#wake?.();
    };
  }

  /** Resolves once more may be written, or once the guard is over. */
  async room(): Promise<void> {
    while (this.isFull && !this.#over.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#wake = undefined;
  }

  /** Ends the watch, because the stream has ended or the reader has left. */
  close(): void {
    this.#over.abort(CLOSED);
    this.#wake?.();
  }

  /** Whether the next message must wait for {@link room}. */
  get isFull(): boolean {
    return this.#unreadBytes > this.#limits.unreadBytesMax;
  }

  /** Runs while output waits, with one timer for any number of messages. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    const { signal } = this.#over;
    while (this.#unreadBytes > 0 && !signal.aborted) {
      const restMs = this.#progressMs + this.#limits.stallMs - this.#clock.monotonicMs();
      if (restMs <= 0) {
        this.close();
        this.#onStall(stalled());
      } else {
        await this.#clock.sleep(restMs, signal);
      }
    }
    this.#isWatching = false;
  }
}

/** A constant reason saves a DOMException per stream. */
const CLOSED = "closed";

function stalled(): AppError {
  return new AppError("OVERLOADED", {
    message: "The stream is read too slowly. Connect again, and resume with the last token.",
    retryAfterMs: RETRY_MS,
  });
}
