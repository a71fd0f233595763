// What audits count.
import type { Metrics } from "@muster/metrics";

export class AuditMetrics {
  readonly #profiles;
  readonly #mismatches;

  constructor(metrics: Metrics) {
    this.#profiles = metrics.counter(
      "muster_segment_audit_profiles_total",
      "Profiles whose memberships an audit compared with their raw events.",
    );
    this.#mismatches = metrics.counter(
      "muster_segment_audit_mismatches_total",
      "Memberships that an audit found to be wrong. Always 0.",
    );
  }

  /** One profile was compared. */
  checked(mismatches: number): void {
    this.#profiles.inc();
    this.#mismatches.inc(mismatches);
  }
}
