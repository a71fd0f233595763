// Counts applied events, membership changes, timers and read waits.
import type { Metrics } from "@muster/metrics";

/** Which part of the service found a membership change. */
export type ChangeOrigin = "live" | "timer" | "backfill";

/** The metrics of this process. */
export class SegmentsMetrics {
  readonly #events;
  readonly #unknown;
  readonly #changes;
  readonly #evaluations;
  readonly #lateness;
  readonly #waits;

  constructor(metrics: Metrics) {
    this.#events = metrics.counter(
      "muster_segments_applied_events_total",
      "Tracked events applied to facts and memberships.",
    );
    this.#unknown = metrics.counter(
      "muster_segments_unknown_predicates_total",
      "Predicates left unknown on an event or on traits, because the work exceeded its budget. Alert when it rises.",
    );
    this.#changes = metrics.counter(
      "muster_segments_membership_changes_total",
      "Profiles that entered or left a segment.",
      ["origin"],
    );
    this.#evaluations = metrics.counter(
      "muster_segments_timer_evaluations_total",
      "Due profiles that were evaluated.",
    );
    this.#lateness = metrics.histogram(
      "muster_segments_timer_lateness_seconds",
      "How late the oldest due profile of a batch was evaluated.",
    );
    this.#waits = metrics.histogram(
      "muster_segments_read_wait_seconds",
      "How long reads waited until they included all writes acknowledged before.",
      ["outcome"],
    );
  }

  eventsApplied(count: number): void {
    this.#events.inc(count);
  }

  /** Segments that read these predicates become limited. */
  predicatesUnknown(count: number): void {
    this.#unknown.inc(count);
  }

  membershipsChanged(origin: ChangeOrigin, count: number): void {
    this.#changes.inc({ origin }, count);
  }

  timersEvaluated(count: number, changes: number): void {
    this.#evaluations.inc(count);
    this.membershipsChanged("timer", changes);
  }

  timersLate(latenessMs: number): void {
    this.#lateness.observe(Math.max(0, latenessMs) / 1000);
  }

  readWaited(outcome: "consistent" | "timeout", ms: number): void {
    this.#waits.observe({ outcome }, ms / 1000);
  }
}
