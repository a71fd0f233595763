// Bounds the output of a stream that its reader has not taken yet, by bytes and by time. A reader that takes
// nothing would otherwise keep its handler, its place among the organization's streams and its memory for ever.
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";

export interface OutputLimits {
  /** Beyond this size the handler waits; one more message may be written. */
  readonly unreadBytesMax: number;
  /** The stream ends if its reader takes nothing for this time while output waits. */
  readonly stallMs: number;
}

export const OUTPUT_LIMITS: OutputLimits = { unreadBytesMax: 256 * 1024, stallMs: 30_000 };

/** Memory of a message besides its bytes. */
const MESSAGE_OVERHEAD_BYTES = 64;
const RETRY_MS = 1_000;

export interface OutputGuardOptions {
  readonly clock: Clock;
  readonly limits: OutputLimits;
  /** Called once, with the error for the reader. */
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

  /** Counts a message that is being written. The returned function reports that the reader's side took it. */
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

  /** The stream has ended, or its reader is gone. */
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
