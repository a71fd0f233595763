// Counts the rejected calls of batches and the links that calls requested without effect. The responses of
// tracking calls hide both.
import type { Metrics } from "@muster/metrics";
import type { SkippedLink } from "../identity-claims/identity-claim.ts";

/** Counts calls of one process. */
export class TrackingMetrics {
  readonly #rejected;
  readonly #skippedLinks;

  constructor(metrics: Metrics) {
    this.#rejected = metrics.counter(
      "muster_tracking_calls_rejected_total",
      "Rejected calls of tracking batches.",
    );
    this.#skippedLinks = metrics.counter(
      "muster_tracking_links_skipped_total",
      "Links of ids that tracking calls requested and that were not made, by reason.",
      ["reason"],
    );
  }

  rejected(calls: number): void {
    if (calls > 0) this.#rejected.inc(calls);
  }

  linkSkipped(reason: SkippedLink | "placeholder_id"): void {
    this.#skippedLinks.inc({ reason });
  }
}
