// What the purge of old rows counts.
import type { Metrics } from "@muster/metrics";

export class RetentionMetrics {
  readonly #purged;
  readonly #behind;

  constructor(metrics: Metrics) {
    this.#purged = metrics.counter(
      "muster_retention_purged_rows_total",
      "Rows removed because they were older than their organisation keeps them.",
      ["place"],
    );
    this.#behind = metrics.gauge(
      "muster_retention_behind_seconds",
      "How long ago what is removed right now became too old; 0 while nothing is too old.",
    );
  }

  purged(place: string, rows: number): void {
    if (rows > 0) this.#purged.inc({ place }, rows);
  }

  behind(ms: number): void {
    this.#behind.set(Math.max(0, ms) / 1000);
  }
}
