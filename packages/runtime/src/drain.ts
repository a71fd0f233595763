// Stops a process without dropping accepted requests.
import type { Clock } from "@muster/core";
import type { Logger } from "@muster/log";
import type { Readiness } from "./readiness.ts";
import type { WorkerGroup } from "./worker-group.ts";

/** A server that accepts requests. */
export interface Listener {
  readonly name: string;
  /** Health checks report that the process is draining; requests are still accepted. */
  notServing(): void;
  /**
   * Accepts no new requests and resolves when the requests in flight are done, at the latest after
   * `timeoutMs`.
   */
  stop(timeoutMs: number): Promise<void>;
}

export interface DrainOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly readiness: Readiness;
  /** Outermost first: the gateway before the services it calls. */
  readonly listeners: readonly Listener[];
  readonly workers: WorkerGroup;
  /** Closes buses and databases, last of all. */
  readonly close: () => Promise<void>;
  /**
   * Time during which requests are still accepted, so that load balancers notice the failing probes first.
   */
  readonly delayMs: number;
  readonly timeoutMs: number;
}

/** Never rejects: a failure of one part does not keep the others from stopping. */
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
