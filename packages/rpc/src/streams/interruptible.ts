// Wraps an async iterable so that its reader need not wait for a source that hangs. The iteration stops when
// a signal aborts or when the reader returns, even while a message is awaited. (An async generator's `return`
// would queue behind that wait, and racing every message against a single long-lived promise would accumulate
// reactions on that promise.)

export interface InterruptibleOptions<T> {
  /** On abort the stream ends, instead of failing with the signal's reason. */
  readonly endOnAbort?: boolean;
  /** Receives every message before the reader; an exception ends the stream. */
  readonly check?: (message: T) => void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class Interruptible<T> implements AsyncIterableIterator<T, undefined> {
  readonly #source: AsyncIterator<T>;
  readonly #signal: AbortSignal;
  readonly #options: InterruptibleOptions<T>;
  /** Callbacks that end the pending waits. */
  readonly #waits = new Set<() => void>();
  #isOver = false;

  constructor(source: AsyncIterable<T>, signal: AbortSignal, options: InterruptibleOptions<T> = {}) {
    this.#source = source[Symbol.asyncIterator]();
    this.#signal = signal;
    this.#options = options;
    signal.addEventListener("abort", this.#interrupt, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      const interrupted = (): void => {
        this.#close();
        if (this.#signal.aborted && this.#options.endOnAbort !== true) reject(this.#signal.reason);
        else resolve(DONE);
      };
      if (this.#isOver) return resolve(DONE);
      if (this.#signal.aborted) return interrupted();
      this.#waits.add(interrupted);
      this.#source.next().then(
        (result) => {
          this.#waits.delete(interrupted);
          // The reader was released already.
          if (this.#isOver) return;
          if (result.done === true) {
            this.#end();
            return resolve(DONE);
          }
          try {
            this.#options.check?.(result.value);
          } catch (error) {
            this.#close();
            return reject(error);
          }
          resolve(result);
        },
        (error: unknown) => {
          this.#waits.delete(interrupted);
          this.#end();
          reject(error);
        },
      );
    });
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#close();
    return DONE;
  }

  readonly #interrupt = (): void => {
    for (const wait of [...this.#waits]) wait();
  };

  /** Lets the source clean up without waiting: the source may hang. */
  #close(): void {
    if (this.#isOver) return;
    this.#end();
    Promise.resolve(this.#source.return?.()).catch(() => {});
  }

  #end(): void {
    this.#isOver = true;
    this.#signal.removeEventListener("abort", this.#interrupt);
    this.#interrupt();
    this.#waits.clear();
  }
}
