// One durable pull consumer being followed: opened again whenever the broker or the stream went away.
import { fromBinary } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { Clock } from "@muster/core";
import type { Logger } from "@muster/log";
import type { Consumer, ConsumerMessages, JsMsg } from "nats";
import type { Delivery, SubscribeOptions, Subscription } from "./bus.ts";

export interface PullRuntime {
  readonly clock: Clock;
  readonly log: Logger;
  /** Makes sure that stream and consumer exist. */
  open(): Promise<Consumer>;
  /** What was known of the stream may be wrong. */
  lostStream(): void;
  closed(subscription: PullSubscription): void;
  /** Until the broker has heard all that was said so far; not for long if it is away. */
  flushed(): Promise<void>;
}

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;

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

  /** Delivers nothing more. Does not wait for a broker that is away. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#runtime.closed(this);
    await this.#messages?.close();
    // From here on the broker sends nothing to the inbox that is no more.
    await this.#runtime.flushed();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const consumer = await this.#runtime.open();
        if (signal.aborted) return;
        if (failures > 0) this.#log.info({}, "following the stream again");
        failures = 0;
        await this.#follow(consumer);
      } catch (error) {
        if (signal.aborted) return;
        if (failures === 0) this.#log.warn({ err: error }, "the stream can't be followed; trying again");
        failures += 1;
        this.#runtime.lostStream();
        await this.#runtime.clock.sleep(Math.min(RETRY_MS_MAX, RETRY_MS_MIN * failures), signal);
      }
    }
  }

  /** Until the subscription closes; rejects when stream or consumer are gone. */
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
      this.#settle(() => message.nak());
      return;
    }
    const delivery: Delivery = {
      envelope: decode(message),
      raw: message.data,
      attempt: message.info.deliveryCount,
      ack: () => this.#settle(() => message.ack()),
      nak: (delayMs) => this.#settle(() => message.nak(Math.ceil(delayMs))),
    };
    try {
      this.#options.onDelivery(delivery);
    } catch (error) {
      this.#log.error({ err: error }, "a delivery handler threw; delivering again");
      delivery.nak(RETRY_MS_MAX);
    }
  }

  /** An answer that can't be sent is as good as one that got lost: the message comes again. */
  #settle(answer: () => void): void {
    try {
      answer();
    } catch (error) {
      this.#log.debug({ err: error }, "a delivery's outcome was not sent");
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
