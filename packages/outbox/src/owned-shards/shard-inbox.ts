// The inbox of a shard holds messages that have arrived and are not applied: it sorts them, drops repeats and
// detects gaps. Pure: it reads no clock and does no I/O.
import type { Delivery } from "@muster/bus";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";

interface Arrived {
  readonly envelope: Envelope;
  /** Empty if the message was fetched from the producer. */
  readonly deliveries: Delivery[];
}

export class ShardInbox {
  #applied: number;
  #itemsThrough: number;
  readonly #arrived = new Map<number, Arrived>();

  constructor(applied: number, itemsThrough: number) {
    this.#applied = applied;
    this.#itemsThrough = itemsThrough;
  }

  get applied(): number {
    return this.#applied;
  }

  get itemsThrough(): number {
    return this.#itemsThrough;
  }

  get size(): number {
    return this.#arrived.size;
  }

  /** The last position up to which every message is applied or in the inbox. */
  get contiguousEnd(): number {
    let end = this.#applied;
    while (this.#arrived.has(end + 1)) end += 1;
    return end;
  }

  /** Whether a message in the inbox cannot be applied because an earlier message is missing. */
  get hasGap(): boolean {
    return this.#arrived.size > this.contiguousEnd - this.#applied;
  }

  /** Adds a message. Returns false if it was applied before; the caller then acks the delivery. */
  offer(envelope: Envelope, delivery: Delivery | undefined): boolean {
    const position = Number(envelope.position);
    if (position <= this.#applied) return false;
    const arrived = this.#arrived.get(position) ?? { envelope, deliveries: [] };
    if (delivery !== undefined) arrived.deliveries.push(delivery);
    this.#arrived.set(position, arrived);
    return true;
  }

  at(position: number): Envelope | undefined {
    return this.#arrived.get(position)?.envelope;
  }

  /** Returns the number of items of the message at the position: the difference to the message before. */
  itemsOf(position: number): number {
    const through = Number(this.at(position)?.itemsThrough ?? 0n);
    const before =
      position === this.#applied + 1 ? this.#itemsThrough : Number(this.at(position - 1)?.itemsThrough ?? 0n);
    return Math.max(0, through - before);
  }

  /**
   * Records that all messages up to the position are applied and committed. Returns their deliveries, to be
   * acked.
   */
  advance(position: number, itemsThrough: number): Delivery[] {
    this.#applied = position;
    this.#itemsThrough = itemsThrough;
    const acked: Delivery[] = [];
    for (const [at, arrived] of this.#arrived) {
      if (at > position) continue;
      acked.push(...arrived.deliveries);
      this.#arrived.delete(at);
    }
    return acked;
  }

  /** Drops every message that is not applied. Returns the deliveries. */
  drain(): Delivery[] {
    const dropped = [...this.#arrived.values()].flatMap((arrived) => arrived.deliveries);
    this.#arrived.clear();
    return dropped;
  }
}
