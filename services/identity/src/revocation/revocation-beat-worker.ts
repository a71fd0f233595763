// Broadcasts the number of revocations every second. A process without beats, or with an announcement missing,
// verifies its cached credentials again.
import { BEAT_INTERVAL_MS, CREDENTIALS_BEAT_TOPIC, encodeBeat } from "@muster/authz";
import type { Bus } from "@muster/bus";
import type { Clock } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import { readRevocationCount } from "./revocation-count-store.ts";

/** A new number is noticed within this time, so that a revocation without an announcement counts within a second. */
const CHECK_MS = 250;
/** The announcement of a revocation arrives before the beat that counts it. */
const ANNOUNCEMENT_MS = 100;

/** Several instances at once are harmless. */
export class RevocationBeatWorker {
  readonly name = "revocation-beat-worker";
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #database: Database;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #sentCount: number | undefined;
  #sentMs = Number.NEGATIVE_INFINITY;
  #isFailing = false;

  constructor(options: {
    readonly bus: Bus;
    readonly clock: Clock;
    readonly database: Database;
    readonly log: Logger;
  }) {
    this.#bus = options.bus;
    this.#clock = options.clock;
    this.#database = options.database;
    this.#log = options.log;
  }

  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#check(signal);
        this.#isFailing = false;
      } catch (error) {
        if (!this.#isFailing) {
          this.#log.warn({ err: error }, "the revocations cannot be counted; no beat is sent");
        }
        this.#isFailing = true;
      }
      await this.#clock.sleep(CHECK_MS, signal);
    }
  }

  /** Sends a beat if the number is new, or if the last beat is a second old. */
  async #check(signal: AbortSignal): Promise<void> {
    const count = await readRevocationCount(this.#database.reader);
    const isNew = count !== this.#sentCount;
    const ageMs = this.#clock.monotonicMs() - this.#sentMs;
    if (!isNew && ageMs < BEAT_INTERVAL_MS - CHECK_MS / 2) return;
    if (isNew) await this.#clock.sleep(ANNOUNCEMENT_MS, signal);
    if (signal.aborted) return;
    this.#bus.broadcast(CREDENTIALS_BEAT_TOPIC, encodeBeat(count));
    this.#sentCount = count;
    this.#sentMs = this.#clock.monotonicMs();
  }
}
