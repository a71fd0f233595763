// Counts the calls of API keys that a process serves, and reports the counts to identity every minute. A report that
// failed is repeated with the same number, so that identity adds it once.
import type { Clock } from "@muster/core";
import { FailureLog, type Logger } from "@muster/log";
import { ApiKeyCallCounter } from "./api-key-call-counter.ts";
import {
  type AddApiKeyUsage,
  type ApiKeyUsage,
  type ApiKeyUsageReport,
  REPORT_ENTRIES_MAX,
} from "./api-key-usage.ts";

/** A process that dies loses the calls of this time. */
const INTERVAL_MS = 60_000;
/** Keys and dates whose calls wait for a report. */
const ENTRIES_MAX = 10_000;

export interface ApiKeyUsageReporterOptions {
  /** A new UUID for each start. */
  readonly reporterId: string;
  readonly add: AddApiKeyUsage;
  readonly clock: Clock;
  readonly log: Logger;
  readonly entriesMax?: number;
}

export class ApiKeyUsageReporter implements ApiKeyUsage {
  readonly name = "api-key-usage-reporter";
  readonly #options: ApiKeyUsageReporterOptions;
  readonly #counter: ApiKeyCallCounter;
  readonly #failures: FailureLog;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #sequence = 0;
  /** Kept until identity has confirmed it. */
  #unconfirmed: ApiKeyUsageReport | undefined;

  constructor(options: ApiKeyUsageReporterOptions) {
    this.#options = options;
    this.#counter = new ApiKeyCallCounter(options.entriesMax ?? ENTRIES_MAX);
    this.#failures = new FailureLog(options.log, {
      failed: "the usage of API keys was not reported; retrying",
      recovered: "the usage of API keys is reported again",
    });
  }

  count(apiKeyId: string): void {
    this.#counter.count(apiKeyId, this.#options.clock.nowMs());
  }

  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  /** Reports the last calls. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#tryReport();
  }

  /** Reports everything that was counted before. Never runs twice at once. */
  async report(): Promise<void> {
    const uncounted = this.#counter.takeUncounted();
    if (uncounted > 0) this.#options.log.warn({ calls: uncounted }, "calls of API keys were not counted");
    await this.#sendUnconfirmed();
    let isFull = true;
    while (isFull) {
      this.#unconfirmed = this.#nextReport();
      // Calls that arrive meanwhile fill no whole report.
      isFull = this.#unconfirmed?.calls.length === REPORT_ENTRIES_MAX;
      await this.#sendUnconfirmed();
    }
  }

  async #sendUnconfirmed(): Promise<void> {
    if (this.#unconfirmed === undefined) return;
    await this.#options.add(this.#unconfirmed);
    this.#unconfirmed = undefined;
  }

  #nextReport(): ApiKeyUsageReport | undefined {
    const calls = this.#counter.take(REPORT_ENTRIES_MAX);
    if (calls.length === 0) return undefined;
    this.#sequence += 1;
    return { reporterId: this.#options.reporterId, sequence: this.#sequence, calls };
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (true) {
      await this.#options.clock.sleep(INTERVAL_MS, signal);
      if (signal.aborted) return;
      await this.#tryReport();
    }
  }

  async #tryReport(): Promise<void> {
    try {
      await this.report();
      this.#failures.succeeded();
    } catch (error) {
      this.#failures.failed(error);
    }
  }
}
