// The JetStream bus connects processes over NATS: one stream per producing service, one durable pull consumer
// per (consumer, source, shard). Only the jetstream, pull-subscription and publisher files use the client
// library.
import { toBinary } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { type Clock, withTimeout } from "@muster/core";
import type { Logger } from "@muster/log";
import { type ConnectionOptions, connect, type JetStreamClient, type NatsConnection } from "nats";
import { BroadcastHub } from "./broadcast-hub.ts";
import type { Bus, SubscribeOptions, Subscription } from "./bus.ts";
import { JetStreamStreams, type StreamSettings } from "./jetstream-streams.ts";
import { type Outgoing, Publisher } from "./publisher.ts";
import { PullSubscription } from "./pull-subscription.ts";

export interface JetStreamOptions extends StreamSettings {
  /** Addresses such as "nats://127.0.0.1:4222"; several belong to one cluster. */
  readonly servers: readonly string[];
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** TLS and credentials, in the client library's form. */
  readonly connection?: Partial<ConnectionOptions>;
  /** Time after which a call without a response from the broker rejects. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5_000;
const FIRST_CONNECT_MS = 2_000;
const RETRY_MS = 250;
const FLUSH_MS_MAX = 500;
/** Most messages that are published and not yet acknowledged, per call. */
const WINDOW_MESSAGES = 64;
const WINDOW_BYTES = 4 * 1024 * 1024;

export class JetStreamBus implements Bus {
  readonly #options: JetStreamOptions;
  readonly #timeoutMs: number;
  readonly #hub: BroadcastHub;
  readonly #connecting: Promise<NatsConnection>;
  readonly #streams: JetStreamStreams;
  readonly #subscriptions = new Set<PullSubscription>();
  readonly #closing = new AbortController();
  #connection: NatsConnection | undefined;
  #client: JetStreamClient | undefined;
  #publisher: Publisher | undefined;
  /** Topics that the connection is subscribed to; few, and never unsubscribed. */
  readonly #topics = new Set<string>();

  private constructor(options: JetStreamOptions) {
    this.#options = options;
    this.#streams = new JetStreamStreams(options);
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#hub = new BroadcastHub(options.log);
    this.#connecting = this.#connect();
    // Calls that need the connection await it; no call awaits it here.
    this.#connecting.catch(() => {});
  }

  /**
   * Waits a short time for the broker. A broker that is down does not prevent the start: the connection is
   * retried until it succeeds.
   */
  static async connect(options: JetStreamOptions): Promise<JetStreamBus> {
    const bus = new JetStreamBus(options);
    const connection = await withTimeout(options.clock, FIRST_CONNECT_MS, bus.#connecting, noValue);
    if (connection === undefined) options.log.warn({}, "the broker does not respond yet; retrying");
    return bus;
  }

  /**
   * Publishing is pipelined, so later messages may be stored although an earlier one was not; consumers
   * handle the gap.
   */
  async publish(envelopes: readonly Envelope[]): Promise<void> {
    const [first] = envelopes;
    if (first === undefined) return;
    const jetStream = await this.#jetStream();
    await this.#streams.ensure(jetStream, first.source);
    try {
      await this.#publishWindows(envelopes);
    } catch (error) {
      // The stream may have been deleted: it is created again before the next attempt.
      this.#streams.invalidate(first.source);
      throw new Error("the broker did not take the messages", { cause: error });
    }
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    if (this.#closing.signal.aborted) throw new Error("the bus is closed");
    const subscription = new PullSubscription(options, {
      clock: this.#options.clock,
      log: this.#options.log,
      open: async () => this.#streams.openConsumer(await this.#jetStream(), options),
      lostStream: () => this.#streams.invalidate(options.source),
      flushed: () => this.#flushed(),
      closed: (closing) => this.#subscriptions.delete(closing),
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /**
   * Dispatches to the handlers of this process at once, and to other processes by core NATS (the connection
   * has no echo).
   */
  broadcast(topic: string, payload: Uint8Array): void {
    if (this.#closing.signal.aborted) return;
    this.#hub.dispatch(topic, payload);
    try {
      this.#connection?.publish(`${this.#streams.namespace}.broadcast.${topic}`, payload);
    } catch (error) {
      this.#options.log.debug({ err: error, topic }, "a broadcast was not sent");
    }
  }

  onBroadcast(topic: string, handler: (payload: Uint8Array) => void): () => void {
    const isNew = !this.#topics.has(topic);
    this.#topics.add(topic);
    if (isNew && this.#connection !== undefined && !this.#connection.isClosed()) {
      this.#followTopic(this.#connection, topic);
    }
    return this.#hub.on(topic, handler);
  }

  /** Does nothing: the streams hold the published messages. */
  attachSource(): void {}

  async purge(service: string, shard: number): Promise<void> {
    await this.#streams.purge(await this.#jetStream(), service, shard);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
    this.#hub.close();
    // After closing, a connection attempt in progress rejects.
    const dialed = this.#connecting.catch(() => undefined);
    const connection = this.#connection ?? (await withTimeout(this.#options.clock, 0, dialed, noValue));
    if (connection === undefined || connection.isClosed()) return;
    await this.#flushed();
    await connection.close();
  }

  /** Acks must reach the broker, but an unreachable broker must not block closing. */
  async #flushed(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined || connection.isClosed()) return;
    await withTimeout(
      this.#options.clock,
      FLUSH_MS_MAX,
      connection.flush().catch(() => {}),
      noValue,
    );
  }

  async #connect(): Promise<NatsConnection> {
    const { servers, name, connection: given } = this.#options;
    const connection = await this.#dial({
      maxReconnectAttempts: -1,
      reconnectTimeWait: RETRY_MS,
      reconnectJitter: RETRY_MS,
      pingInterval: 20_000,
      ignoreAuthErrorAbort: true,
      ...given,
      servers: [...servers],
      name,
      noEcho: true,
    });
    this.#connection = connection;
    for (const topic of this.#topics) this.#followTopic(connection, topic);
    void this.#followStatus(connection);
    return connection;
  }

  async #dial(options: ConnectionOptions): Promise<NatsConnection> {
    for (;;) {
      try {
        const connection = await connect(options);
        if (!this.#closing.signal.aborted) return connection;
        await connection.close();
      } catch (error) {
        this.#options.log.debug({ err: error }, "the broker does not respond");
      }
      if (this.#closing.signal.aborted) throw new Error("the bus is closed");
      await this.#options.clock.sleep(RETRY_MS, this.#closing.signal);
    }
  }

  /**
   * Subscribes only to topics with a handler here, because commits and applied positions are broadcast many
   * times a second.
   */
  #followTopic(connection: NatsConnection, topic: string): void {
    connection.subscribe(`${this.#streams.namespace}.broadcast.${topic}`, {
      callback: (error, message) => {
        if (error === null) this.#hub.dispatch(topic, message.data);
        else this.#options.log.warn({ err: error }, "broadcasts cannot be received");
      },
    });
  }

  async #followStatus(connection: NatsConnection): Promise<void> {
    const { log } = this.#options;
    for await (const status of connection.status()) {
      if (status.type === "disconnect") log.warn({}, "the broker is gone; reconnecting");
      if (status.type === "reconnect") log.info({}, "the broker is back");
    }
    const reason = await connection.closed();
    if (!this.#closing.signal.aborted) log.error({ err: reason }, "the connection to the broker was closed");
  }

  async #jetStream(): Promise<JetStreamClient> {
    if (this.#closing.signal.aborted) throw new Error("the bus is closed");
    if (this.#client !== undefined) return this.#client;
    const connection = await withTimeout(this.#options.clock, this.#timeoutMs, this.#connecting, noValue);
    if (connection === undefined) throw new Error("the broker does not respond");
    this.#publisher ??= new Publisher(connection, this.#options.clock, this.#timeoutMs);
    this.#client ??= connection.jetstream({ timeout: this.#timeoutMs });
    return this.#client;
  }

  async #publishWindows(envelopes: readonly Envelope[]): Promise<void> {
    let window: Outgoing[] = [];
    let bytes = 0;
    for (const envelope of envelopes) {
      const payload = toBinary(EnvelopeSchema, envelope);
      if (window.length === WINDOW_MESSAGES || (window.length > 0 && bytes + payload.length > WINDOW_BYTES)) {
        await this.#publisher?.publish(window);
        window = [];
        bytes = 0;
      }
      window.push({ subject: this.#streams.subject(envelope), payload, messageId: envelope.id });
      bytes += payload.length;
    }
    await this.#publisher?.publish(window);
  }
}

/** The outcome of a call without a response. */
function noValue(): undefined {
  return undefined;
}
