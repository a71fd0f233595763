// The broadcast hub dispatches broadcasts to the handlers of this process. Each handler runs on a turn of its
// own, so that a failing handler does not affect the others.
import type { Logger } from "@muster/log";

type Handler = (payload: Uint8Array) => void;

export class BroadcastHub {
  readonly #log: Logger;
  readonly #handlers = new Map<string, Set<Handler>>();

  constructor(log: Logger) {
    this.#log = log;
  }

  on(topic: string, handler: Handler): () => void {
    // Wrapped, so that a function registered twice has two subscriptions.
    const own: Handler = (payload) => handler(payload);
    const handlers = this.#handlers.get(topic) ?? new Set();
    this.#handlers.set(topic, handlers.add(own));
    return () => {
      handlers.delete(own);
      if (handlers.size === 0 && this.#handlers.get(topic) === handlers) this.#handlers.delete(topic);
    };
  }

  dispatch(topic: string, payload: Uint8Array): void {
    for (const handler of this.#handlers.get(topic) ?? []) {
      setImmediate(() => {
        if (this.#handlers.get(topic)?.has(handler) !== true) return;
        try {
          handler(payload);
        } catch (error) {
          this.#log.error({ err: error, topic }, "a broadcast handler threw");
        }
      });
    }
  }

  close(): void {
    this.#handlers.clear();
  }
}
