// Keeps transactions open while their process works between two statements. The server ends only transactions of
// a process that has stopped.
import type { Clock } from "@muster/core";
import type { MysqlConnection } from "./knex-internals.ts";

const CHECK_MS = 1_000;
/** Checks without a statement after which the server gets a sign of life. */
const QUIET_CHECKS = 2;

interface OpenTransaction {
  checks: number;
  quietChecks: number;
}

export class KeepAlive {
  readonly #clock: Clock;
  readonly #checksMax: number;
  readonly #open = new Map<MysqlConnection, OpenTransaction>();
  #isRunning = false;

  /** `aliveMs`: after that time a transaction gets no further sign of life, so that its locks end. */
  constructor(clock: Clock, aliveMs: number) {
    this.#clock = clock;
    this.#checksMax = Math.floor(aliveMs / CHECK_MS);
  }

  /** Runs the body of a transaction. */
  async during<Result>(connection: MysqlConnection, body: () => Promise<Result>): Promise<Result> {
    this.#open.set(connection, { checks: 0, quietChecks: 0 });
    if (!this.#isRunning) void this.#run();
    try {
      return await body();
    } finally {
      this.#open.delete(connection);
    }
  }

  /** The connection sends a statement. */
  active(connection: MysqlConnection): void {
    const open = this.#open.get(connection);
    if (open !== undefined) open.quietChecks = 0;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#open.size > 0) {
      await this.#clock.sleep(CHECK_MS);
      for (const [connection, open] of this.#open) {
        open.checks += 1;
        open.quietChecks += 1;
        if (open.quietChecks < QUIET_CHECKS || open.checks > this.#checksMax) continue;
        open.quietChecks = 0;
        // A failure shows at the next statement of the body.
        connection.query("DO 0", () => {});
      }
    }
    this.#isRunning = false;
  }
}
