// How a process ends without dropping what it has accepted.
import type { Clock } from "@muster/core";
import type { Logger } from "@muster/log";
import type { Readiness } from "./readiness.ts";
import type { WorkerGroup } from "./worker-group.ts";

/** Something that accepts requests. */
export interface Listener {
  readonly name: string;
  /** Health checks say that it is leaving; requests are still accepted. */
  notServing(): void;
  /** Accepts nothing more and resolves when what was under way is done, at the latest after `timeoutMs`. */
  stop(timeoutMs: number): Promise<void>;
}

export interface DrainOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly readiness: Readiness;
  /** Outermost first: the gateway before the services it calls. */
  readonly listeners: readonly Listener[];
  readonly workers: WorkerGroup;
  /** Buses and databases, at the very end. */
  readonly close: () => Promise<void>;
  /** How long requests are still accepted, so that balancers see the probes change first. */
  readonly delayMs: number;
  readonly timeoutMs: number;
}

/** Never rejects: whatever fails, the rest is still stopped. */
export async function drain(options: DrainOptions): Promise<void> {
  const { clock, log, timeoutMs } = options;
  options.readiness.drain();
  for (const listener of options.listeners) listener.notServing();
  await clock.sleep(options.delayMs);
  for (const listener of options.listeners) {
    await listener.stop(timeoutMs).catch((error: unknown) => {
      log.error({ listener: listener.name, err: error }, "a listener failed to stop");
    });
  }
  await options.workers.stop(timeoutMs);
  await options.close().catch((error: unknown) => {
    log.error({ err: error }, "closing databases and bus failed");
  });
}
