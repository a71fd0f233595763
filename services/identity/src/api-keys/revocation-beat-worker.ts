// Broadcasts the number of revocations every second. A process without beats, or with an announcement missing,
// verifies its cached keys again.
import { BEAT_INTERVAL_MS, CREDENTIALS_BEAT_TOPIC, encodeBeat } from "@muster/authz";
import type { Bus } from "@muster/bus";
import type { Clock } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import { readRevocationCount } from "./revocation-count-store.ts";

/** Several instances at once are harmless. */
export class RevocationBeatWorker {
  readonly name = "revocation-beat-worker";
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #database: Database;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

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
    let isFailing = false;
    while (!signal.aborted) {
      try {
        const count = await readRevocationCount(this.#database.reader);
        this.#bus.broadcast(CREDENTIALS_BEAT_TOPIC, encodeBeat(count));
        isFailing = false;
      } catch (error) {
        if (!isFailing) this.#log.warn({ err: error }, "the revocations cannot be counted; no beat is sent");
        isFailing = true;
      }
      await this.#clock.sleep(BEAT_INTERVAL_MS, signal);
    }
  }
}
