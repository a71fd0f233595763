// An async iterable that stops waiting for its source when a signal aborts. One listener serves the
// whole stream: racing a long-lived promise for every message would pile up reactions on it.

export interface InterruptibleOptions {
  /** On abort the stream ends, instead of failing with the signal's reason. */
  readonly endOnAbort?: boolean;
}

export class Interruptible<T> implements AsyncIterable<T> {
  readonly #source: AsyncIterable<T>;
  readonly #signal: AbortSignal;
  readonly #endOnAbort: boolean;

  constructor(source: AsyncIterable<T>, signal: AbortSignal, options: InterruptibleOptions = {}) {
    this.#source = source;
    this.#signal = signal;
    this.#endOnAbort = options.endOnAbort ?? false;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const signal = this.#signal;
    const iterator = this.#source[Symbol.asyncIterator]();
    let interrupt: (() => void) | undefined;
    const onAbort = (): void => interrupt?.();
    signal.addEventListener("abort", onAbort, { once: true });

    const nextOrAbort = (): Promise<IteratorResult<T> | undefined> =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return resolve(undefined);
        interrupt = () => resolve(undefined);
        iterator.next().then(resolve, reject);
      });

    let finished = false;
    try {
      for (;;) {
        const result = await nextOrAbort();
        if (result === undefined) {
          if (this.#endOnAbort) return;
          throw signal.reason;
        }
        if (result.done === true) {
          finished = true;
          return;
        }
        yield result.value;
      }
    } catch (error) {
      // A source that failed has ended; one that was left waiting has not.
      finished = !signal.aborted;
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      if (!finished) await this.#close(iterator);
    }
  }

  /** Lets the source clean up. A source that is still working is not waited for: it may hang. */
  async #close(iterator: AsyncIterator<T>): Promise<void> {
    const closed = Promise.resolve(iterator.return?.()).catch(() => {});
    if (!this.#signal.aborted) await closed;
  }
}
