// Names and configures streams and durable consumers, and creates them when they are missing.
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
  /** Prefix of every stream and subject, so that several installations can share a broker. */
  readonly namespace?: string | undefined;
  /**
   * Largest size of each stream, in bytes; -1 means no limit. The oldest messages are dropped first, and a
   * consumer that missed them reads them from the producer.
   */
  readonly streamBytesMax?: number | undefined;
  readonly streamAgeMsMax?: number | undefined;
  /** Number of copies of a stream in a cluster. */
  readonly replicas?: number | undefined;
  /** A delivery that is neither acked nor naked within this time is redelivered. */
  readonly ackWaitMs?: number | undefined;
}

const NAMESPACE = "muster";
/** Longer than outbox rows are kept at least (one day). Older messages still come from the producer. */
const STREAM_AGE_MS = 3 * 86_400_000;
const DUPLICATE_WINDOW_MS = 120_000;
const ACK_WAIT_MS = 30_000;
/** The broker's code for an existing stream of the same name with another configuration. */
const STREAM_EXISTS = 10058;
/** The broker's code for a missing stream. */
const STREAM_NOT_FOUND = 10059;

export class JetStreamStreams {
  readonly namespace: string;
  readonly #settings: StreamSettings;
  readonly #known = new Map<string, Promise<void>>();

  constructor(settings: StreamSettings) {
    this.namespace = settings.namespace ?? NAMESPACE;
    if (!/^[a-z][a-z0-9_-]*$/.test(this.namespace))
      throw new Error("a namespace must be a lower-case name of letters, digits, _ and -");
    this.#settings = settings;
  }

  /** `muster.<service>.<noun>.<past-verb>.v1.<shard>`. */
  subject(envelope: Envelope): string {
    const type = envelope.type.replace(/^muster\./, `${this.namespace}.`);
    return `${type}.${envelope.shard}`;
  }

  /** Creates the stream of the producing service, once. */
  ensure(jetStream: JetStreamClient, source: string): Promise<void> {
    const known = this.#known.get(source);
    if (known !== undefined) return known;
    const ensuring = this.#create(jetStream, source);
    this.#known.set(source, ensuring);
    ensuring.catch(() => this.invalidate(source));
    return ensuring;
  }

  /** Drops the cached state of a stream that may have been deleted. */
  invalidate(source: string): void {
    this.#known.delete(source);
  }

  async openConsumer(jetStream: JetStreamClient, options: SubscribeOptions): Promise<Consumer> {
    const { source, consumer, shard, maxInFlight } = options;
    await this.ensure(jetStream, source);
    const manager = await jetStream.jetstreamManager(false);
    const stream = this.#streamName(source);
    const durable = `${consumer}_${source}_${shard}`;
    // No max_deliver: the consumer decides what happens to a message after failures.
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

  /** Removes the messages of one shard from the stream. */
  async purge(jetStream: JetStreamClient, source: string, shard: number): Promise<void> {
    const manager = await jetStream.jetstreamManager(false);
    try {
      await manager.streams.purge(this.#streamName(source), { filter: this.#subjectsOf(source, shard) });
    } catch (error) {
      // A missing stream holds no copies.
      if (!(error instanceof NatsError) || error.api_error?.err_code !== STREAM_NOT_FOUND) throw error;
    }
  }

  /** The subjects of every type and version: a shard's positions are gapless only over all types. */
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
      // The stream was created by an older version or with other settings; only its changeable settings are
      // updated.
      await manager.streams.update(name, limits);
    }
  }
}
