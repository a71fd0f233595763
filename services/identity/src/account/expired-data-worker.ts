// ExpiredDataWorker deletes expired registrations, invitations, mail tokens and exports, and old activities and
// counts of calls.
import type { Clock } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { FailureLog, type Logger } from "@muster/log";
import { deleteOldActivities } from "../activity/activity-store.ts";
import { deleteOldReporters, deleteUsageBefore } from "../api-key-usage/api-key-usage-store.ts";
import { firstUsageDay, USAGE_LIFETIME_MS } from "../api-key-usage/usage-days.ts";
import { deleteSomeChunks } from "../exports/chunk-store.ts";
import { deleteExpiredExports, listEndedExports, setExportDataDeleted } from "../exports/export-store.ts";
import { EXPIRED_INVITATION_KEPT_MS } from "../invitations/invitation.ts";
import { deleteExpiredOneTimeTokens } from "../one-time-tokens/one-time-token-store.ts";
import { deleteExpiredRegistrations } from "../registration/registration-store.ts";
import { deleteExpiredInvitations, type InvitationSweepDeps } from "./delete-expired-invitations.ts";

const INTERVAL_MS = 10 * 60_000;
/** Rows of one transaction. */
const ROWS_MAX = 500;
/** Rows with a compound key. */
const USAGE_MAX = 128;
/** Time for which a user can list an activity. */
export const ACTIVITY_LIFETIME_MS = 400 * 86_400_000;

interface ExpiredDataWorkerOptions extends InvitationSweepDeps {
  readonly clock: Clock;
  readonly database: Database;
  readonly log: Logger;
}

/** Several instances at once are harmless: expired rows are ignored wherever they are read. */
export class ExpiredDataWorker {
  readonly name = "expired-account-data";
  readonly #options: ExpiredDataWorkerOptions;
  readonly #failures: FailureLog;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: ExpiredDataWorkerOptions) {
    this.#options = options;
    this.#failures = new FailureLog(options.log, {
      failed: "expired account data was not deleted; retrying later",
    });
  }

  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async sweep(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    await this.#inSteps((trx) => deleteExpiredRegistrations(trx, nowMs, ROWS_MAX));
    await this.#inSteps((trx) => deleteExpiredOneTimeTokens(trx, nowMs, ROWS_MAX));
    const beforeMs = nowMs - EXPIRED_INVITATION_KEPT_MS;
    await deleteExpiredInvitations(this.#options, { nowMs, beforeMs, signal: this.#stopping.signal });
    await this.#inSteps((trx) => deleteOldActivities(trx, nowMs - ACTIVITY_LIFETIME_MS, ROWS_MAX));
    await this.#inSteps((trx) => deleteUsageBefore(trx, firstUsageDay(nowMs), USAGE_MAX), USAGE_MAX);
    await this.#inSteps((trx) => deleteOldReporters(trx, nowMs - USAGE_LIFETIME_MS, ROWS_MAX));
    await this.#sweepExports(nowMs);
  }

  async #sweepExports(nowMs: number): Promise<void> {
    const ids = await listEndedExports(this.#options.database.reader, nowMs, ROWS_MAX);
    for (const id of ids) {
      let hasMore = true;
      while (hasMore && !this.#stopping.signal.aborted) {
        hasMore = await this.#options.database.transaction(async (trx) => {
          const isLeft = await deleteSomeChunks(trx, id);
          if (!isLeft) await setExportDataDeleted(trx, id);
          return isLeft;
        });
      }
    }
    await this.#inSteps((trx) => deleteExpiredExports(trx, nowMs, ROWS_MAX));
  }

  async #inSteps(remove: (trx: Transaction) => Promise<number>, rowsMax = ROWS_MAX): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      if ((await this.#options.database.transaction(remove)) < rowsMax) return;
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#options.clock.sleep(INTERVAL_MS, signal);
      try {
        await this.sweep();
        this.#failures.succeeded();
      } catch (error) {
        this.#failures.failed(error);
      }
    }
  }
}
