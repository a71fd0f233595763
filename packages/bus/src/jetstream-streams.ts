// Names and settings of streams and durable consumers, and making sure that they exist.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import {
  AckPolicy,
  type Consumer,
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamClient,
  NatsError,
  nanos,
  RetentionPolicy,
  StorageType,
} from "nats";
import type { SubscribeOptions } from "./bus.ts";

export interface StreamSettings {
  /** Keeps installations on one broker apart: begins every stream and subject. */
  readonly namespace?: string | undefined;
  /** Of each stream; the oldest go first, and a consumer that missed them asks the producer. -1: no bound. */
  readonly streamBytesMax?: number | undefined;
  readonly streamAgeMsMax?: number | undefined;
  /** Copies of a stream in a cluster. */
  readonly replicas?: number | undefined;
  /** A delivery neither acked nor naked by then is delivered again. */
  readonly ackWaitMs?: number | undefined;
}

const NAMESPACE = "muster";
/** Longer than the day that outbox rows stay at least; what is older still comes from the producer. */
const STREAM_AGE_MS = 3 * 86_400_000;
const DUPLICATE_WINDOW_MS = 120_000;
const ACK_WAIT_MS = 30_000;
/** The broker's code for a stream of that name with another configuration. */
const STREAM_EXISTS = 10058;
/** The broker's code for a stream that is not there. */
const STREAM_NOT_FOUND = 10059;

export class JetStreamStreams {
  readonly namespace: string;
  readonly #settings: StreamSettings;
  readonly #known = new Map<string, Promise<void>>();

  constructor(settings: StreamSettings) {
    this.namespace = settings.namespace ?? NAMESPACE;
    if (!/^[a-z][a-z0-9_-]*$/.test(this.namespace)) throw new Error("a namespace is a plain lower-case name");
    this.#settings = settings;
  }

  /** `muster.<service>.<noun>.<past-verb>.v1.<shard>`. */
  subject(envelope: Envelope): string {
    const type = envelope.type.replace(/^muster\./, `${this.namespace}.`);
    return `${type}.${envelope.shard}`;
  }

  /** Makes sure of the producing service's stream, once. */
  ensure(jetStream: JetStreamClient, source: string): Promise<void> {
    const known = this.#known.get(source);
    if (known !== undefined) return known;
    const ensuring = this.#create(jetStream, source);
    this.#known.set(source, ensuring);
    ensuring.catch(() => this.invalidate(source));
    return ensuring;
  }

  /** It may have been deleted. */
  invalidate(source: string): void {
    this.#known.delete(source);
  }

  async openConsumer(jetStream: JetStreamClient, options: SubscribeOptions): Promise<Consumer> {
    const { source, consumer, shard, maxInFlight } = options;
    await this.ensure(jetStream, source);
    const manager = await jetStream.jetstreamManager(false);
    const stream = this.#streamName(source);
    const durable = `${consumer}_${source}_${shard}`;
    // No max_deliver: what a message deserves after failures is the consumer's to decide.
    const ackWaitMs = this.#settings.ackWaitMs ?? ACK_WAIT_MS;
    const changeable = { ack_wait: nanos(ackWaitMs), max_ack_pending: maxInFlight, max_deliver: -1 };
    try {
      await manager.consumers.add(stream, {
        durable_name: durable,
        filter_subject: this.#subjectsOf(source, shard),
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        ...changeable,
      });
    } catch (error) {
      if (!(error instanceof NatsError) || error.api_error?.code !== 400) throw error;
      await manager.consumers.update(stream, durable, changeable);
    }
    return jetStream.consumers.get(stream, durable);
  }

  /** Removes what the stream holds of one shard. */
  async purge(jetStream: JetStreamClient, source: string, shard: number): Promise<void> {
    const manager = await jetStream.jetstreamManager(false);
    try {
      await manager.streams.purge(this.#streamName(source), { filter: this.#subjectsOf(source, shard) });
    } catch (error) {
      // No stream, no copies.
      if (!(error instanceof NatsError) || error.api_error?.err_code !== STREAM_NOT_FOUND) throw error;
    }
  }

  /** Every version of every type: a shard's positions are gapless only over all of them. */
  #subjectsOf(source: string, shard: number): string {
    return `${this.namespace}.${source}.*.*.*.${shard}`;
  }

  #streamName(source: string): string {
    return `${this.namespace}_${source}`.toUpperCase();
  }

  async #create(jetStream: JetStreamClient, source: string): Promise<void> {
    const manager = await jetStream.jetstreamManager(false);
    const name = this.#streamName(source);
    const limits = {
      subjects: [`${this.namespace}.${source}.*.*.*.*`],
      max_age: nanos(this.#settings.streamAgeMsMax ?? STREAM_AGE_MS),
      max_bytes: this.#settings.streamBytesMax ?? -1,
      num_replicas: this.#settings.replicas ?? 1,
      discard: DiscardPolicy.Old,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    };
    const fixed = { retention: RetentionPolicy.Limits, storage: StorageType.File };
    try {
      await manager.streams.add({ name, ...fixed, ...limits });
    } catch (error) {
      if (!(error instanceof NatsError) || error.api_error?.err_code !== STREAM_EXISTS) throw error;
      // Made by an older version or with other settings; what is fixed for a stream stays.
      await manager.streams.update(name, limits);
    }
  }
}
