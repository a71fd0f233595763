// Decides whether the process should receive requests: the databases of the process respond, and the process
// is neither starting nor draining. An unreachable broker or service takes no process out of rotation.
import type { Clock } from "@muster/core";
import { withinTime } from "./within-time.ts";

export interface ReadinessAnswer {
  readonly isReady: boolean;
  /** Text for people who read the probe. */
  readonly reason: string;
}

export interface Pingable {
  ping(): Promise<void>;
}

const PING_TIMEOUT_MS = 2_000;
/** Probes within this time share one check of the databases. */
const ANSWER_AGE_MS_MAX = 500;

const READY: ReadinessAnswer = { isReady: true, reason: "ready" };

export class Readiness {
  readonly #clock: Clock;
  readonly #databases: ReadonlyMap<string, Pingable>;
  #state: "starting" | "running" | "draining" = "starting";
  #asked: { readonly atMs: number; readonly answer: Promise<ReadinessAnswer> } | undefined;

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

  async check(): Promise<ReadinessAnswer> {
    if (this.#state !== "running") return { isReady: false, reason: this.#state };
    const nowMs = this.#clock.monotonicMs();
    if (this.#asked === undefined || nowMs - this.#asked.atMs > ANSWER_AGE_MS_MAX) {
      this.#asked = { atMs: nowMs, answer: this.#pingAll() };
    }
    return this.#asked.answer;
  }

  async #pingAll(): Promise<ReadinessAnswer> {
    for (const [service, database] of this.#databases) {
      const answers = await withinTime(this.#clock, PING_TIMEOUT_MS, database.ping()).catch(() => false);
      if (!answers) return { isReady: false, reason: `the database of ${service} does not answer` };
    }
    return READY;
  }
}
