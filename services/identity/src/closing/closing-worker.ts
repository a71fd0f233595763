// Closes organizations when their deletion takes effect, and requests the erasure from the other services until each
// has confirmed the end.
import { OrganizationErasureService as EventsErasure } from "@muster/contracts/muster/events/v1/organization_erasure_service_pb";
import { OrganizationErasureService as SegmentsErasure } from "@muster/contracts/muster/segments/v1/organization_erasure_service_pb";
import { uuidToBytes } from "@muster/core";
import { FailureLog, type Logger } from "@muster/log";
import { type Caller, createClient } from "@muster/rpc";
import { listDeletedOrganizations } from "../organizations/organization-store.ts";
import { type CloseDeps, closeOrganization } from "./close-organization.ts";
import {
  type Closing,
  deleteClosing,
  type ErasingService,
  listDueClosings,
  postponeCheck,
} from "./closing-store.ts";

export interface ClosingWorkerOptions extends CloseDeps {
  readonly log: Logger;
  readonly caller: (service: ErasingService) => Caller;
}

const INTERVAL_MS = 1_000;
/** Until the service has erased what it stored before the closing. */
const CHECK_MS = 2_000;
/** Until the service has finished the last sweep, a day later. */
const LAST_CHECK_MS = 600_000;
const AT_ONCE = 50;
const CALL_MS = 10_000;

/** Several instances at once are harmless. */
export class ClosingWorker {
  readonly name = "closing-worker";
  readonly #options: ClosingWorkerOptions;
  readonly #failures: FailureLog;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: ClosingWorkerOptions) {
    this.#options = options;
    this.#failures = new FailureLog(options.log, {
      failed: "organizations were not closed; retrying",
      recovered: "organizations are closed again",
    });
  }

  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Closes the organizations that are due, and requests the erasure from the other services. */
  async step(): Promise<void> {
    const { clock, database } = this.#options;
    const nowMs = clock.nowMs();
    for (const id of await listDeletedOrganizations(database.reader, nowMs, AT_ONCE)) {
      await closeOrganization(this.#options, id, nowMs);
    }
    const due = await listDueClosings(database.reader, clock.nowMs(), AT_ONCE);
    const failures: unknown[] = [];
    for (const closing of due) {
      if (this.#stopping.signal.aborted) return;
      // A service that is away delays no other one.
      await this.#check(closing).catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }

  async #check(closing: Closing): Promise<void> {
    const { clock, database } = this.#options;
    // Before the call, so that a closing that fails comes last in the next round.
    const postponed = { isErased: false, nextCheckMs: clock.nowMs() + CHECK_MS };
    await database.transaction((trx) => postponeCheck(trx, closing, postponed));
    const { isErased, isFinal } = await this.#erase(closing);
    await database.transaction(async (trx) => {
      if (isFinal) await deleteClosing(trx, closing);
      else if (isErased) {
        await postponeCheck(trx, closing, { isErased, nextCheckMs: clock.nowMs() + LAST_CHECK_MS });
      }
    });
  }

  #erase({ organizationId, service }: Closing) {
    const caller = this.#options.caller(service);
    const client = createClient(service === "events" ? EventsErasure : SegmentsErasure, caller);
    const deadlineMs = this.#options.clock.nowMs() + CALL_MS;
    return client.eraseOrganization({ organizationId: uuidToBytes(organizationId) }, { deadlineMs });
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.step();
        this.#failures.succeeded();
      } catch (error) {
        this.#failures.failed(error);
      }
      await clock.sleep(INTERVAL_MS, signal);
    }
  }
}
