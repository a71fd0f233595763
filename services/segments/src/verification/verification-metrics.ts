// Counts verified profiles and mismatches.
import type { Metrics } from "@muster/metrics";

/** The counters of all verifications of this process. */
export class VerificationMetrics {
  readonly #profiles;
  readonly #mismatches;

  constructor(metrics: Metrics) {
    this.#profiles = metrics.counter(
      "muster_segment_verification_profiles_total",
      "Profiles whose memberships a verification compared with their raw events.",
    );
    this.#mismatches = metrics.counter(
      "muster_segment_verification_mismatches_total",
      "Wrong memberships that a verification found. Alert when it is not 0.",
    );
  }

  /** Counts one compared profile and its mismatches. */
  checked(mismatches: number): void {
    this.#profiles.inc();
    this.#mismatches.inc(mismatches);
  }
}
