// Wraps the bus and the producer with switches for faults.
import type { Bus, Delivery, SubscribeOptions, Subscription } from "@muster/bus";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { AppliedShard, ProducerPort } from "../ports/ports.ts";

export class FaultyBus implements Bus {
  /** Acks and naks are lost, as when the process dies before sending. */
  losesAcks = false;
  /** Selects messages that the broker loses after the acknowledgment. */
  loses: (envelope: Envelope) => boolean = () => false;
  publishFails = false;
  /** Simulates an absent broker: publishing fails, deliveries and broadcasts are lost. */
  isAway = false;
  deliveries = 0;
  readonly #bus: Bus;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  async publish(envelopes: readonly Envelope[]): Promise<void> {
    if (this.publishFails || this.isAway) throw new Error("the broker is away");
    await this.#bus.publish(envelopes);
  }

  subscribe(options: SubscribeOptions): Promise<Subscription> {
    const onDelivery = (delivery: Delivery): void => {
      if (this.isAway || (delivery.envelope !== undefined && this.loses(delivery.envelope))) {
        delivery.ack();
        return;
      }
      this.deliveries += 1;
      options.onDelivery({
        ...delivery,
        raw: delivery.raw,
        ack: () => this.losesAcks || delivery.ack(),
        nak: (delayMs) => this.losesAcks || delivery.nak(delayMs),
      });
    };
    return this.#bus.subscribe({ ...options, onDelivery });
  }

  broadcast(topic: string, payload: Uint8Array): void {
    if (!this.isAway) this.#bus.broadcast(topic, payload);
  }

  onBroadcast(topic: string, handler: (payload: Uint8Array) => void): () => void {
    return this.#bus.onBroadcast(topic, handler);
  }

  purge(service: string, shard: number): Promise<void> {
    return this.#bus.purge(service, shard);
  }

  attachSource(...source: Parameters<Bus["attachSource"]>): void {
    this.#bus.attachSource(...source);
  }

  close(): Promise<void> {
    return this.#bus.close();
  }
}

export class FaultyProducer implements ProducerPort {
  isDown = false;
  /** Number of successful reads. */
  reads = 0;
  readonly #producer: ProducerPort;

  constructor(producer: ProducerPort) {
    this.#producer = producer;
  }

  async read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]> {
    if (this.isDown) throw new Error("the producer is away");
    const envelopes = await this.#producer.read(shard, afterPosition, limit);
    this.reads += 1;
    return envelopes;
  }

  async reportApplied(consumer: string, shards: readonly AppliedShard[]): Promise<void> {
    if (this.isDown) throw new Error("the producer is away");
    await this.#producer.reportApplied(consumer, shards);
  }
}
