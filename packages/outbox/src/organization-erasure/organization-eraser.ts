// Erases closed organizations from one service in the background: at once, and again a day later. Resumes after a
// crash, in this process or another.
import { type OrganizationId, Wakeup } from "@muster/core";
import type { Transaction } from "@muster/db";
import { FailureLog, type Logger } from "@muster/log";
import {
  type ClosedOrganization,
  findClosedOrganization,
  finishSweep,
  insertClosedOrganization,
  leaseSweep,
  listDueOrganizations,
  renewSweep,
} from "./closed-organization-store.ts";
import { type SweepDeps, sweepOrganization } from "./sweep-organization.ts";

export interface OrganizationEraserOptions extends SweepDeps {
  readonly log: Logger;
  /** Broadcast after messages were rewritten, so that caches of messages are emptied. */
  readonly erasedTopic?: string;
}

/** How far the erasure of an organization is. */
export interface ErasureProgress {
  /** No data is left, unless a request that began before the closing stores some. */
  readonly isErased: boolean;
  /** No data comes back: requests from before have ended, and saved responses have expired. */
  readonly isFinal: boolean;
}

/** The last sweep finds what a request from before the closing has stored. Saved responses live for a day. */
const LAST_SWEEP_MS = 25 * 3_600_000;
const SWEEPS = 2;
const LEASE_MS = 30_000;
const POLL_MS = 5_000;
const ORGANIZATIONS_AT_ONCE = 10;
const NO_DATA = new Uint8Array();

/** Runs in every process; leases distribute the work. */
export class OrganizationEraser {
  readonly name: string;
  readonly #options: OrganizationEraserOptions;
  readonly #wakeup = new Wakeup();
  readonly #stopping = new AbortController();
  readonly #failures: FailureLog;
  #loop: Promise<void> | undefined;

  constructor(options: OrganizationEraserOptions) {
    this.name = `organization-eraser.${options.service}`;
    this.#options = options;
    this.#failures = new FailureLog(options.log, {
      failed: "the erasure of organizations failed; retrying",
      recovered: "the erasure of organizations succeeds again",
    });
  }

  async start(): Promise<void> {
    this.#loop ??= this.#run();
  }

  /** Stops after the current step. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  /** Stores that the organization is closed. Call {@link wake} after the commit. */
  async close(trx: Transaction, organizationId: OrganizationId): Promise<void> {
    await insertClosedOrganization(trx, organizationId, this.#options.clock.nowMs());
  }

  wake(): void {
    this.#wakeup.notify();
  }

  /** Undefined for an organization that is not closed. */
  async progress(organizationId: OrganizationId): Promise<ErasureProgress | undefined> {
    const closed = await findClosedOrganization(this.#options.database.reader, organizationId);
    return closed && { isErased: closed.sweeps > 0, isFinal: closed.sweeps >= SWEEPS };
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#sweepDue();
        this.#failures.succeeded();
      } catch (error) {
        this.#failures.failed(error);
      }
      await this.#wakeup.wait(clock, POLL_MS, signal);
    }
  }

  async #sweepDue(): Promise<void> {
    const { clock, database } = this.#options;
    const due = await listDueOrganizations(database.reader, clock.nowMs(), ORGANIZATIONS_AT_ONCE);
    for (const organization of due) {
      if (this.#stopping.signal.aborted) return;
      const untilMs = clock.nowMs() + LEASE_MS;
      if (!(await database.transaction((trx) => leaseSweep(trx, organization, untilMs)))) continue;
      await this.#sweep(organization);
    }
  }

  async #sweep(organization: ClosedOrganization): Promise<void> {
    const { bus, clock, database, erasedTopic } = this.#options;
    const { organizationId, sweeps, closeTimeMs } = organization;
    let renewedMs = clock.nowMs();
    const isDone = await sweepOrganization(this.#options, organizationId, async () => {
      if (this.#stopping.signal.aborted) return false;
      const nowMs = clock.nowMs();
      if (nowMs - renewedMs > LEASE_MS / 3) {
        await database.transaction((trx) => renewSweep(trx, organization, nowMs + LEASE_MS));
        renewedMs = nowMs;
      }
      return true;
    });
    if (erasedTopic !== undefined) bus.broadcast(erasedTopic, NO_DATA);
    if (!isDone) {
      // The next start resumes at once.
      await database.transaction((trx) => renewSweep(trx, organization, 0));
      return;
    }
    const isLast = sweeps + 1 >= SWEEPS;
    const nextSweepMs = isLast ? undefined : closeTimeMs + LAST_SWEEP_MS;
    await database.transaction((trx) => finishSweep(trx, organization, nextSweepMs));
  }
}
