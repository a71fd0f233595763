// What has arrived for one shard and is not folded: sorts it, drops repeats, sees gaps. Pure: it
// keeps no time and does no I/O.
import type { Delivery } from "@muster/bus";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";

interface Arrived {
  readonly envelope: Envelope;
  /** None if it was fetched from the producer. */
  readonly deliveries: Delivery[];
}

export class ShardInbox {
  #folded: number;
  #itemsThrough: number;
  readonly #arrived = new Map<number, Arrived>();

  constructor(folded: number, itemsThrough: number) {
    this.#folded = folded;
    this.#itemsThrough = itemsThrough;
  }

  get folded(): number {
    return this.#folded;
  }

  get itemsThrough(): number {
    return this.#itemsThrough;
  }

  get size(): number {
    return this.#arrived.size;
  }

  /** The last position up to which everything is folded or here. */
  get contiguousEnd(): number {
    let end = this.#folded;
    while (this.#arrived.has(end + 1)) end += 1;
    return end;
  }

  /** Whether something is here that can't be folded because an earlier message is missing. */
  get hasGap(): boolean {
    return this.#arrived.size > this.contiguousEnd - this.#folded;
  }

  /** Keeps a message; false if it was folded before (and the caller acks). */
  offer(envelope: Envelope, delivery: Delivery | undefined): boolean {
    const position = Number(envelope.position);
    if (position <= this.#folded) return false;
    const arrived = this.#arrived.get(position) ?? { envelope, deliveries: [] };
    if (delivery !== undefined) arrived.deliveries.push(delivery);
    this.#arrived.set(position, arrived);
    return true;
  }

  at(position: number): Envelope | undefined {
    return this.#arrived.get(position)?.envelope;
  }

  /** The items of a message at the position: what it adds to the one before. */
  itemsOf(position: number): number {
    const through = Number(this.at(position)?.itemsThrough ?? 0n);
    const before =
      position === this.#folded + 1 ? this.#itemsThrough : Number(this.at(position - 1)?.itemsThrough ?? 0n);
    return Math.max(0, through - before);
  }

  /** All up to the position are folded and committed; returns their deliveries, to be acked. */
  advance(position: number, itemsThrough: number): Delivery[] {
    this.#folded = position;
    this.#itemsThrough = itemsThrough;
    const settled: Delivery[] = [];
    for (const [at, arrived] of this.#arrived) {
      if (at > position) continue;
      settled.push(...arrived.deliveries);
      this.#arrived.delete(at);
    }
    return settled;
  }

  /** Gives up everything that is not folded; returns the deliveries. */
  drain(): Delivery[] {
    const dropped = [...this.#arrived.values()].flatMap((arrived) => arrived.deliveries);
    this.#arrived.clear();
    return dropped;
  }
}
