// Decides whether the process should receive requests: the databases of the process respond, and the process
// is neither starting nor draining. An unreachable broker or service takes no process out of rotation.
import { type Clock, withTimeout } from "@muster/core";

export interface ReadinessResult {
  readonly isReady: boolean;
  /** Text for people who read the probe. */
  readonly reason: string;
}

export interface Pingable {
  ping(): Promise<void>;
}

const PING_TIMEOUT_MS = 2_000;
/** Probes within this time share one check of the databases. */
const RESULT_AGE_MS_MAX = 500;

const READY: ReadinessResult = { isReady: true, reason: "ready" };

export class Readiness {
  readonly #clock: Clock;
  readonly #databases: ReadonlyMap<string, Pingable>;
  #state: "starting" | "running" | "draining" = "starting";
  #latest: { readonly atMs: number; readonly result: Promise<ReadinessResult> } | undefined;

  /** Databases by the service that owns them. */
  constructor(options: { readonly clock: Clock; readonly databases: ReadonlyMap<string, Pingable> }) {
    this.#clock = options.clock;
    this.#databases = options.databases;
  }

  started(): void {
    if (this.#state === "starting") this.#state = "running";
  }

  drain(): void {
    this.#state = "draining";
  }

  async check(): Promise<ReadinessResult> {
    if (this.#state !== "running") return { isReady: false, reason: this.#state };
    const nowMs = this.#clock.monotonicMs();
    if (this.#latest === undefined || nowMs - this.#latest.atMs > RESULT_AGE_MS_MAX) {
      this.#latest = { atMs: nowMs, result: this.#pingAll() };
    }
    return this.#latest.result;
  }

  async #pingAll(): Promise<ReadinessResult> {
    for (const [service, database] of this.#databases) {
      const ping = database.ping().then(
        () => true,
        () => false,
      );
      const isAlive = await withTimeout(this.#clock, PING_TIMEOUT_MS, ping, () => false);
      if (!isAlive) return { isReady: false, reason: `the database of ${service} does not respond` };
    }
    return READY;
  }
}
