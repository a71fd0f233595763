// A pull subscription follows one durable pull consumer, and opens it again after the broker or the stream
// was unavailable.
import { fromBinary } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { type BackoffPolicy, backoffMs, type Clock } from "@muster/core";
import type { Logger } from "@muster/log";
import type { Consumer, ConsumerMessages, JsMsg } from "nats";
import type { Delivery, SubscribeOptions, Subscription } from "./bus.ts";

export interface PullRuntime {
  readonly clock: Clock;
  readonly log: Logger;
  /** Creates the stream and the consumer if they are missing, and opens the consumer. */
  open(): Promise<Consumer>;
  /** Called when the cached state of the stream may be wrong. */
  lostStream(): void;
  closed(subscription: PullSubscription): void;
  /** Resolves when the broker has received all messages sent so far, or after a short time. */
  flushed(): Promise<void>;
}

const BACKOFF: BackoffPolicy = { minMs: 100, maxMs: 2_000, growth: "add" };

export class PullSubscription implements Subscription {
  readonly #options: SubscribeOptions;
  readonly #runtime: PullRuntime;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #messages: ConsumerMessages | undefined;

  constructor(options: SubscribeOptions, runtime: PullRuntime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#log = runtime.log.child({
      consumer: options.consumer,
      source: options.source,
      shard: options.shard,
    });
    void this.#run();
  }

  /** Stops deliveries. Does not wait for an unreachable broker. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#runtime.closed(this);
    await this.#messages?.close();
    // After this the broker sends nothing to the closed inbox.
    await this.#runtime.flushed();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const consumer = await this.#runtime.open();
        if (signal.aborted) return;
        if (failures > 0) this.#log.info({}, "the stream is followed again");
        failures = 0;
        await this.#follow(consumer);
      } catch (error) {
        if (signal.aborted) return;
        if (failures === 0) this.#log.warn({ err: error }, "the stream cannot be followed; retrying");
        failures += 1;
        this.#runtime.lostStream();
        await this.#runtime.clock.sleep(backoffMs(failures, BACKOFF), signal);
      }
    }
  }

  /** Resolves when the subscription closes; rejects when the stream or the consumer is missing. */
  async #follow(consumer: Consumer): Promise<void> {
    const messages = await consumer.consume({
      max_messages: this.#options.maxInFlight,
      abort_on_missing_resource: true,
      callback: (message) => this.#deliver(message),
    });
    this.#messages = messages;
    if (this.#stopping.signal.aborted) await messages.close();
    const reason = await messages.closed();
    this.#messages = undefined;
    if (!this.#stopping.signal.aborted) throw reason ?? new Error("the consumer ended");
  }

  #deliver(message: JsMsg): void {
    if (this.#stopping.signal.aborted) {
      this.#send(() => message.nak());
      return;
    }
    const delivery: Delivery = {
      envelope: decode(message),
      raw: message.data,
      attempt: message.info.deliveryCount,
      ack: () => this.#send(() => message.ack()),
      nak: (delayMs) => this.#send(() => message.nak(Math.ceil(delayMs))),
    };
    try {
      this.#options.onDelivery(delivery);
    } catch (error) {
      this.#log.error({ err: error }, "a delivery handler threw; the message is redelivered");
      delivery.nak(BACKOFF.maxMs);
    }
  }

  /**
   * Sends an ack or nak. An ack or nak that cannot be sent has the effect of a lost one: the message is
   * redelivered.
   */
  #send(respond: () => void): void {
    try {
      respond();
    } catch (error) {
      this.#log.debug({ err: error }, "an ack or nak was not sent");
    }
  }
}

function decode(message: JsMsg): Envelope | undefined {
  try {
    const envelope = fromBinary(EnvelopeSchema, message.data);
    const isHere = message.subject.endsWith(`.${envelope.shard}`) && envelope.position > 0n;
    return isHere ? envelope : undefined;
  } catch {
    return undefined;
  }
}
