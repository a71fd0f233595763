// Outbox gauges show how much is committed and not yet published or applied.
import type { Metrics } from "@muster/metrics";
import type { OutboxState } from "./outbox-state-store.ts";

export class OutboxGauges {
  readonly #service: string;
  readonly #unpublished;
  readonly #oldest;
  readonly #backlog;
  readonly #lag;

  constructor(metrics: Metrics, service: string) {
    this.#service = service;
    this.#unpublished = metrics.gauge(
      "muster_outbox_unpublished_messages",
      "Messages committed and not yet published.",
      ["service"],
    );
    this.#oldest = metrics.gauge(
      "muster_outbox_unpublished_oldest_seconds",
      "Age of the oldest message committed and not yet published.",
      ["service"],
    );
    this.#backlog = metrics.gauge(
      "muster_outbox_backlog_items",
      "Items committed and not yet applied by the slowest consumer.",
      ["service"],
    );
    this.#lag = metrics.gauge(
      "muster_outbox_consumer_lag_messages",
      "Messages committed and not yet applied by a consumer.",
      ["service", "consumer"],
    );
  }

  set(state: OutboxState, backlogItems: number, oldestMs: number | undefined, nowMs: number): void {
    const service = this.#service;
    let unpublished = 0;
    for (const [shard, position] of state.positions.entries()) {
      unpublished += Math.max(0, position - (state.published[shard] ?? 0));
    }
    this.#unpublished.set({ service }, unpublished);
    this.#oldest.set({ service }, oldestMs === undefined ? 0 : Math.max(0, nowMs - oldestMs) / 1000);
    this.#backlog.set({ service }, backlogItems);
    for (const [consumer, applied] of state.applied) {
      let lag = 0;
      for (const [shard, position] of state.positions.entries()) {
        lag += Math.max(0, position - (applied.positions[shard] ?? 0));
      }
      this.#lag.set({ service, consumer }, lag);
    }
  }
}
