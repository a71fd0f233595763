// What batches lost: a batch succeeds as long as one of its calls is good, so nobody is told of the others.
import type { Metrics } from "@muster/metrics";

export class TrackingMetrics {
  readonly #rejected;

  constructor(metrics: Metrics) {
    this.#rejected = metrics.counter(
      "muster_tracking_calls_rejected_total",
      "Calls of tracking batches that were not taken.",
    );
  }

  rejected(calls: number): void {
    if (calls > 0) this.#rejected.inc(calls);
  }
}
