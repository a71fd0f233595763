// What this service counts of itself.
import type { Metrics } from "@muster/metrics";

export type ChangeOrigin = "live" | "timer" | "backfill";

export class SegmentsMetrics {
  readonly #events;
  readonly #changes;
  readonly #visits;
  readonly #lateness;
  readonly #waits;

  constructor(metrics: Metrics) {
    this.#events = metrics.counter("muster_segments_folded_events_total", "Tracked events folded.");
    this.#changes = metrics.counter(
      "muster_segments_membership_changes_total",
      "Profiles that entered or left a segment.",
      ["origin"],
    );
    this.#visits = metrics.counter("muster_segments_timer_visits_total", "Profiles visited when due.");
    this.#lateness = metrics.histogram(
      "muster_segments_timer_lateness_seconds",
      "How late the oldest due profile of a batch was visited.",
    );
    this.#waits = metrics.histogram(
      "muster_segments_read_wait_seconds",
      "How long reads waited for what was acknowledged before them.",
      ["outcome"],
    );
  }

  eventsFolded(count: number): void {
    this.#events.inc(count);
  }

  membershipsChanged(origin: ChangeOrigin, count: number): void {
    this.#changes.inc({ origin }, count);
  }

  timersVisited(count: number, changes: number): void {
    this.#visits.inc(count);
    this.membershipsChanged("timer", changes);
  }

  timersLate(latenessMs: number): void {
    this.#lateness.observe(Math.max(0, latenessMs) / 1000);
  }

  readWaited(outcome: "consistent" | "timeout", ms: number): void {
    this.#waits.observe({ outcome }, ms / 1000);
  }
}
