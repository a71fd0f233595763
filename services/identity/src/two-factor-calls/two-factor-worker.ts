// Completes recoveries that have become effective, and deletes expired challenges and magic links.
import type { Transaction } from "@muster/db";
import { FailureLog } from "@muster/log";
import type { IdentityDeps } from "../deps.ts";
import { deleteExpiredMagicLinks } from "../magic-link/magic-link-store.ts";
import { deleteExpiredChallenges } from "../two-factor/challenge-store.ts";
import { deleteRecovery, listEffectiveRecoveries, type Recovery } from "../two-factor/recovery-store.ts";
import { lockUser } from "../users/user-store.ts";
import { completeRecovery } from "./complete-recovery.ts";

const INTERVAL_MS = 60_000;
const CHUNK_ROWS = 200;

/** Several instances at once are harmless. Every read compares the times, so that a late pass changes no decision. */
export class TwoFactorWorker {
  readonly name = "two-factor-worker";
  readonly #deps: IdentityDeps;
  readonly #failures: FailureLog;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(deps: IdentityDeps) {
    this.#deps = deps;
    this.#failures = new FailureLog(deps.log, {
      failed: "recoveries of second factors were not completed; retrying later",
      recovered: "recoveries of second factors are completed again",
    });
  }

  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Does what is due now, or until the worker stops. */
  async sweep(): Promise<void> {
    const { database } = this.#deps;
    const nowMs = await database.nowMs();
    await this.#inChunks(async () => {
      const due = await listEffectiveRecoveries(database.reader, nowMs, CHUNK_ROWS);
      for (const recovery of due) await this.#complete(recovery, nowMs);
      return due.length;
    });
    const remove = (run: (trx: Transaction) => Promise<number>) =>
      this.#inChunks(() => database.transaction(run));
    await remove((trx) => deleteExpiredChallenges(trx, nowMs, CHUNK_ROWS));
    await remove((trx) => deleteExpiredMagicLinks(trx, nowMs, CHUNK_ROWS));
  }

  async #complete({ userId }: Recovery, nowMs: number): Promise<void> {
    const works: (() => void | Promise<void>)[] = [];
    await this.#deps.database.transaction(async (trx) => {
      works.length = 0;
      const user = await lockUser(trx, userId);
      if (user === undefined) await deleteRecovery(trx, userId);
      else
        await completeRecovery(
          this.#deps,
          trx,
          { afterCommit: (work) => void works.push(work) },
          user,
          nowMs,
        );
    });
    for (const work of works) await work();
  }

  async #inChunks(run: () => Promise<number>): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      if ((await run()) < CHUNK_ROWS) break;
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(INTERVAL_MS, this.#stopping.signal);
      try {
        await this.sweep();
        this.#failures.succeeded();
      } catch (error) {
        this.#failures.failed(error);
      }
    }
  }
}
