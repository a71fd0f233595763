// Finishes or undoes provisionings whose process has died.
import { FailureLog } from "@muster/log";
import { WITHOUT_CALL } from "@muster/outbox";
import { ProvisioningUndone } from "./provisioning.ts";
import type { DueProvisioning } from "./provisioning-store.ts";
import { type ProvisioningDeps, runProvisioning } from "./run-provisioning.ts";

const INTERVAL_MS = 5_000;
const LEASE_MS = 60_000;
const AT_ONCE = 20;

export interface ProvisioningWorkerOptions extends ProvisioningDeps {
  /** No other process uses the database, so no other process runs a provisioning. */
  readonly exclusive: boolean;
}

/** A lease saves work. Two processes at the same provisioning do no harm, because every step may run twice. */
export class ProvisioningWorker {
  readonly name = "provisioning-worker";
  readonly #options: ProvisioningWorkerOptions;
  readonly #failures: FailureLog;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: ProvisioningWorkerOptions) {
    this.#options = options;
    this.#failures = new FailureLog(options.log, {
      failed: "interrupted provisionings were not finished; they are undone",
      recovered: "interrupted provisionings are finished again",
    });
  }

  async start(): Promise<void> {
    const { clock, database, exclusive, provisionings } = this.#options;
    if (exclusive && this.#running === undefined) {
      await database.transaction((trx) => provisionings.releaseAll(trx, clock.nowMs()));
    }
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Finishes or undoes due provisionings. Rejects with the first failure at the end of the round. */
  async step(): Promise<void> {
    const { clock, database, provisionings } = this.#options;
    const failures: unknown[] = [];
    for (const due of await provisionings.listDue(database.reader, clock.nowMs(), AT_ONCE)) {
      if (this.#stopping.signal.aborted) return;
      await this.#takeOver(due).catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }

  async #takeOver(due: DueProvisioning): Promise<void> {
    const { clock, database, provisionings } = this.#options;
    const untilMs = clock.nowMs() + LEASE_MS;
    if (!(await database.transaction((trx) => provisionings.lease(trx, due, untilMs)))) return;
    try {
      await runProvisioning(this.#options, WITHOUT_CALL, due);
    } catch (error) {
      if (!(error instanceof ProvisioningUndone)) throw error;
    }
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
