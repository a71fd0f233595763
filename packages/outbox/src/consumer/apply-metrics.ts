// Registers and updates the metrics of a consumer.
import type { Metrics } from "@muster/metrics";

export class ApplyMetrics {
  readonly #labels: { readonly consumer: string; readonly source: string };
  readonly #messages;
  readonly #items;
  readonly #seconds;
  readonly #failures;

  constructor(metrics: Metrics, consumer: string, source: string) {
    const names = ["consumer", "source"];
    this.#labels = { consumer, source };
    this.#messages = metrics.counter("muster_consumer_applied_messages_total", "Messages applied.", names);
    this.#items = metrics.counter("muster_consumer_applied_items_total", "Items applied.", names);
    this.#seconds = metrics.histogram(
      "muster_consumer_apply_seconds",
      "Duration of a transaction that applies messages.",
      names,
    );
    this.#failures = metrics.counter(
      "muster_consumer_apply_failures_total",
      "Transactions applying messages that were rolled back.",
      names,
    );
  }

  applied(messages: number, items: number, seconds: number): void {
    this.#messages.inc(this.#labels, messages);
    this.#items.inc(this.#labels, items);
    this.#seconds.observe(this.#labels, seconds);
  }

  failed(): void {
    this.#failures.inc(this.#labels);
  }
}
