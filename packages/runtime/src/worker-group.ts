// Starts the workers of a process in order and stops them in reverse, each within a time limit.
import { type Clock, withTimeout } from "@muster/core";
import type { Logger } from "@muster/log";
import type { Worker } from "./module.ts";

export class WorkerGroup {
  readonly #workers: readonly Worker[];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #started: Worker[] = [];

  constructor(options: { readonly workers: readonly Worker[]; readonly clock: Clock; readonly log: Logger }) {
    this.#workers = options.workers;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Rejects if a worker fails to start; {@link stop} then stops the workers that started. */
  async start(): Promise<void> {
    for (const worker of this.#workers) {
      // Recorded before the start: a start that failed half-way leaves something to stop.
      this.#started.push(worker);
      await worker.start();
    }
  }

  /** Never rejects: a worker that fails or hangs does not keep the others from stopping. */
  async stop(timeoutMs: number): Promise<void> {
    for (let worker = this.#started.pop(); worker !== undefined; worker = this.#started.pop()) {
      const { name } = worker;
      try {
        const stopped = worker.stop().then(() => true);
        const isStopped = await withTimeout(this.#clock, timeoutMs, stopped, () => false);
        if (!isStopped) this.#log.warn({ worker: name, timeoutMs }, "a worker did not stop in time");
      } catch (error) {
        this.#log.error({ worker: name, err: error }, "a worker failed to stop");
      }
    }
  }
}
