// Records the metrics of the ingest path: events, submissions and commits.
import type { Metrics } from "@muster/metrics";
import type { EventOutcome } from "./submission.ts";

/** Counts commits, submissions and events of one process. */
export class IngestMetrics {
  readonly #commits;
  readonly #events;
  readonly #requests;
  readonly #refused;
  readonly #retries;
  readonly #seconds;

  constructor(metrics: Metrics, queuedRows: () => number) {
    this.#commits = metrics.counter("muster_ingest_commits_total", "Transactions that stored submissions.");
    this.#requests = metrics.counter(
      "muster_ingest_submissions_total",
      "Submissions whose events were stored or rejected.",
    );
    this.#events = metrics.counter("muster_ingest_events_total", "Events by outcome.", ["outcome"]);
    this.#refused = metrics.counter(
      "muster_ingest_refused_submissions_total",
      "Submissions refused because the queue or the backlog was full.",
      ["reason"],
    );
    this.#retries = metrics.counter(
      "muster_ingest_retries_total",
      "Commits retried because of a concurrent commit.",
    );
    this.#seconds = metrics.histogram(
      "muster_ingest_commit_seconds",
      "Duration of a commit, retries included.",
    );
    const queued = metrics.gauge("muster_ingest_queued_events", "Events waiting for a transaction.");
    Object.assign(queued, { collect: () => queued.set(queuedRows()) });
  }

  committed(outcomes: readonly (readonly EventOutcome[])[], tookMs: number): void {
    const counts = { stored: 0, duplicate: 0, rejected: 0 };
    for (const ofSubmission of outcomes) for (const { status } of ofSubmission) counts[status] += 1;
    for (const [outcome, count] of Object.entries(counts))
      if (count > 0) this.#events.inc({ outcome }, count);
    this.#commits.inc();
    this.#requests.inc(outcomes.length);
    this.#seconds.observe(tookMs / 1000);
  }

  refused(reason: "backlog" | "queue"): void {
    this.#refused.inc({ reason });
  }

  retried(): void {
    this.#retries.inc();
  }
}
