// Whether the process should get requests: its own databases answer, and it is neither starting nor
// draining. A broker or another service that is away takes no process out.
import type { Clock } from "@muster/core";
import { withinTime } from "./within-time.ts";

export interface ReadinessAnswer {
  readonly isReady: boolean;
  /** In words, for whoever reads the probe. */
  readonly reason: string;
}

export interface Pingable {
  ping(): Promise<void>;
}

const PING_TIMEOUT_MS = 2_000;
/** Probes closer together share one look at the databases. */
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
