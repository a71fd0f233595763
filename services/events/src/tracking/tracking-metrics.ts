// Counts the rejected calls of batches. A batch succeeds if one call is valid, so the response hides the
// others.
import type { Metrics } from "@muster/metrics";

/** Counts rejected calls of one process. */
export class TrackingMetrics {
  readonly #rejected;

  constructor(metrics: Metrics) {
    this.#rejected = metrics.counter(
      "muster_tracking_calls_rejected_total",
      "Rejected calls of tracking batches.",
    );
  }

  rejected(calls: number): void {
    if (calls > 0) this.#rejected.inc(calls);
  }
}
