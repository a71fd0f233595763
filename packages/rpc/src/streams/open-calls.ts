// Keeps the calls of a server that have not ended, and ends them when the server drains.
import { AppError } from "@muster/errors";

const RECONNECT_MS = 1_000;

/** The error of calls that a draining server ends. */
export function serverGoingAway(): AppError {
  return new AppError("UNAVAILABLE", {
    message: "The server is going away. Connect again, and resume with the last token.",
    retryAfterMs: RECONNECT_MS,
  });
}

/** A call of the server; `signal` aborts with the error that ends the call. */
export interface OpenCall {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  close(): void;
}

export class OpenCalls {
  readonly #endless = new Set<AbortController>();
  readonly #bounded = new Set<AbortController>();
  readonly #draining = new AbortController();

  /** Aborts when the server drains. */
  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  open(isEndless: boolean): OpenCall {
    const controller = new AbortController();
    const calls = isEndless ? this.#endless : this.#bounded;
    if (isEndless && this.#draining.signal.aborted) controller.abort(this.#draining.signal.reason);
    else calls.add(controller);
    return {
      signal: controller.signal,
      abort: (reason) => controller.abort(reason),
      close: () => calls.delete(controller),
    };
  }

  /** Ends endless streams; other calls may finish. */
  drain(error: AppError): void {
    this.#draining.abort(error);
    abortAll(this.#endless, error);
  }

  /** Ends every call. */
  cut(error: AppError): void {
    this.drain(error);
    abortAll(this.#bounded, error);
  }
}

function abortAll(calls: Set<AbortController>, error: AppError): void {
  for (const call of calls) call.abort(error);
  calls.clear();
}
