// Measures the purge of expired rows.
import type { Metrics } from "@muster/metrics";

/** The counter and the gauge of the purge. */
export class RetentionMetrics {
  readonly #purged;
  readonly #behind;

  constructor(metrics: Metrics) {
    this.#purged = metrics.counter(
      "muster_retention_purged_rows_total",
      "Rows deleted because the retention of the organization has expired.",
      ["table"],
    );
    this.#behind = metrics.gauge(
      "muster_retention_behind_seconds",
      "Time since the expiry of the rows that the purge deletes now; 0 when no row has expired.",
    );
  }

  purged(table: string, rows: number): void {
    if (rows > 0) this.#purged.inc({ table }, rows);
  }

  behind(ms: number): void {
    this.#behind.set(Math.max(0, ms) / 1000);
  }
}
