// The outbox relay publishes committed messages to the bus, each shard in position order, under a lease. If
// two relays run at once because a lease expired unnoticed, messages are only repeated: consumers drop
// repeats by position.
import type { Bus } from "@muster/bus";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { assert, type BackoffPolicy, backoffMs, type Clock, SHARD_COUNT, Wakeup } from "@muster/core";
import type { Database } from "@muster/db";
import { FailureLog, type Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { OutboxPort } from "../ports/ports.ts";
import { readPositions, readRanges, type ShardRange } from "../producer/outbox-store.ts";
import { CommittedMessageBuffer } from "./committed-message-buffer.ts";
import { OutboxTrimmer } from "./outbox-trimmer.ts";
import * as store from "./relay-store.ts";

export interface RelayOptions {
  readonly service: string;
  readonly database: Database;
  readonly bus: Bus;
  /** Its commits wake the relay and hand over their messages. */
  readonly outbox: Pick<OutboxPort, "onCommitted" | "onAppended">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly instanceId: string;
  /** No other process uses this database: the relay takes the lease by force, once. */
  readonly exclusive: boolean;
  readonly timings?: Partial<RelayTimings>;
}

export interface RelayTimings {
  readonly leaseMs: number;
  /** Time between two reads of the table, for commits without a wake-up. */
  readonly pollMs: number;
  readonly trimEveryMs: number;
  /** Shortest time to keep published messages: a broker may lose messages that it has acknowledged. */
  readonly keepMs: number;
}

const TIMINGS: RelayTimings = { leaseMs: 5_000, pollMs: 1_000, trimEveryMs: 3_600_000, keepMs: 86_400_000 };
const BACKOFF: BackoffPolicy = { minMs: 50, maxMs: 5_000, jitter: "half" };
/** Most rows of one shard in one round. */
const ROWS_MAX = 256;
const ROWS_FIRST = 8;
/** Target size of a round of all shards in memory. */
const ROUND_BYTES = 16 * 1024 * 1024;
/**
 * Most bytes of committed messages that wait to be published from memory. Beyond the limit, messages are read
 * from the table.
 */
const BUFFER_BYTES_MAX = 16 * 1024 * 1024;
/**
 * Shortest time between two saves of the cursors. After a crash, messages published since the last save are
 * published again.
 */
const SAVE_MS = 200;
/** Lease duration in exclusive mode: no other process can take the lease, so it is never renewed. */
const FOREVER_MS = 2 ** 52;

/** Publishes the outbox of one service. It is a worker with `start` and `stop`. */
export class OutboxRelay {
  readonly name: string;
  readonly #options: RelayOptions;
  readonly #timings: RelayTimings;
  readonly #log: Logger;
  readonly #trimmer: OutboxTrimmer;
  readonly #published;
  readonly #failureCount;
  readonly #failures: FailureLog;
  readonly #wakeup = new Wakeup();
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;
  #leaseUntilMs = 0;
  #nextLeaseAttemptMs = 0;
  #rowsMax = ROWS_FIRST;
  /** Published positions, while the lease is held without a break. The table is updated later. */
  #cursors: Map<number, number> | undefined;
  #saved = new Map<number, number>();
  #savedAtMs = Number.NEGATIVE_INFINITY;
  readonly #buffer = new CommittedMessageBuffer(BUFFER_BYTES_MAX);
  /**
   * The table may hold messages that were not handed over: after a start, a failure, or a commit of another
   * process.
   */
  #isReadDue = true;
  #nextReadMs = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.name = `relay.${options.service}`;
    this.#timings = { ...TIMINGS, ...options.timings };
    this.#log = options.log.child({ relay: options.service });
    this.#trimmer = new OutboxTrimmer({ ...options, log: this.#log, timings: this.#timings });
    this.#published = options.metrics.counter(
      "muster_outbox_published_messages_total",
      "Messages published to the bus.",
      ["service"],
    );
    this.#failures = new FailureLog(this.#log, {
      failed: "the outbox cannot be published; retrying",
      recovered: "the outbox is being published again",
      level: "error",
    });
    this.#failureCount = options.metrics.counter(
      "muster_outbox_publish_failures_total",
      "Relay rounds in which publishing failed.",
      ["service"],
    );
  }

  async start(): Promise<void> {
    this.#trimmer.start();
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    if (this.#leaseUntilMs === 0) return;
    try {
      await this.#save();
      await this.#options.database.transaction((trx) => store.freeRelayLease(trx, this.#options.instanceId));
    } catch (error) {
      this.#log.warn({ err: error }, "the relay's lease was not released; it expires by itself");
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    const unlisten = this.#listen();
    let failures = 0;
    while (!signal.aborted) {
      try {
        const more = (await this.#ensureLease()) && (await this.#round());
        this.#failures.succeeded();
        failures = 0;
        if (!more) await this.#wakeup.wait(clock, this.#waitMs(), signal);
      } catch (error) {
        failures += 1;
        this.#isReadDue = true;
        this.#failureCount.inc({ service: this.#options.service });
        this.#failures.failed(error);
        await clock.sleep(backoffMs(failures, BACKOFF), signal);
      }
    }
    unlisten();
  }

  #listen(): () => void {
    const { outbox } = this.#options;
    const unlisten = outbox.onCommitted((isOwn) => {
      // This process hands over the messages of its own commits.
      if (isOwn) return;
      this.#isReadDue = true;
      this.#wakeup.notify();
    });
    const unlistenAppends = outbox.onAppended((messages) => {
      if (this.#leaseUntilMs === 0 || !this.#buffer.offer(messages)) this.#isReadDue = true;
      this.#wakeup.notify();
    });
    return () => {
      unlisten();
      unlistenAppends();
    };
  }

  /** Time until the next read of the table, or until the cursors must be saved. */
  #waitMs(): number {
    const { pollMs } = this.#timings;
    if (this.#leaseUntilMs === 0 || this.#unsaved().length === 0) return pollMs;
    const dueMs = this.#savedAtMs + SAVE_MS - this.#options.clock.monotonicMs();
    return Math.min(pollMs, Math.max(1, dueMs));
  }

  async #ensureLease(): Promise<boolean> {
    const { clock, database, instanceId, exclusive } = this.#options;
    const nowMs = clock.nowMs();
    const { leaseMs } = this.#timings;
    // The lease is renewed well before it ends, so that one slow renewal does not lose it.
    if (this.#leaseUntilMs - nowMs > leaseMs * 0.6) return true;
    // Commits wake a standby relay too; a standby requests the lease at most once per poll interval.
    if (this.#leaseUntilMs === 0 && clock.monotonicMs() < this.#nextLeaseAttemptMs) return false;
    const untilMs = exclusive ? FOREVER_MS : nowMs + leaseMs;
    const held = await database.transaction((trx) =>
      store.takeRelayLease(trx, { owner: instanceId, nowMs, untilMs, byForce: exclusive }),
    );
    // A relay that held the lease meanwhile has advanced the cursors.
    if (!held || this.#leaseUntilMs <= nowMs) {
      this.#cursors = undefined;
      this.#buffer.clear();
      this.#isReadDue = true;
    }
    this.#leaseUntilMs = held ? untilMs : 0;
    this.#nextLeaseAttemptMs = clock.monotonicMs() + this.#timings.pollMs * 0.9;
    return held;
  }

  /** Runs one round. Returns whether more work is or may be waiting. */
  async #round(): Promise<boolean> {
    const { clock, database } = this.#options;
    if (this.#cursors === undefined) {
      this.#cursors = await store.readPublished(database.reader);
      this.#saved = new Map(this.#cursors);
    }
    const { messages, isComplete } = this.#buffer.take(this.#cursors);
    if (!isComplete || clock.monotonicMs() >= this.#nextReadMs) this.#isReadDue = true;
    const envelopes = messages.length > 0 ? messages : await this.#read(this.#cursors);
    if (envelopes.length > 0) await this.#publish(envelopes, this.#cursors);
    if (clock.monotonicMs() - this.#savedAtMs >= SAVE_MS) await this.#save();
    if (envelopes.length > 0) return true;
    if (this.#trimmer.isDue) await this.#trimmer.trim(this.#stopping.signal, () => this.#ensureLease());
    return this.#isReadDue;
  }

  /** Reads the next unpublished messages from the table, if the table may hold any. */
  async #read(cursors: ReadonlyMap<number, number>): Promise<Envelope[]> {
    if (!this.#isReadDue) return [];
    const { clock, database, service } = this.#options;
    this.#isReadDue = false;
    const ranges = this.#unpublished(cursors, await readPositions(database.reader));
    this.#nextReadMs = clock.monotonicMs() + this.#timings.pollMs;
    if (ranges.length === 0) return [];
    const envelopes = await readRanges(database.reader, service, ranges);
    assert(envelopes.length > 0, "unpublished outbox messages are missing");
    // The table may hold more than one round takes.
    this.#isReadDue = true;
    this.#adjustRowsMax(envelopes);
    return envelopes;
  }

  #unpublished(cursors: ReadonlyMap<number, number>, heads: readonly number[]): ShardRange[] {
    const ranges: ShardRange[] = [];
    for (const [shard, head] of heads.entries()) {
      const after = cursors.get(shard) ?? 0;
      if (head > after) ranges.push({ shard, after, through: Math.min(head, after + this.#rowsMax) });
    }
    return ranges;
  }

  async #publish(envelopes: readonly Envelope[], cursors: Map<number, number>): Promise<void> {
    const batches = [...Map.groupBy(envelopes, (envelope) => envelope.shard)];
    const outcomes = await Promise.allSettled(batches.map(([, batch]) => this.#options.bus.publish(batch)));
    const errors: unknown[] = [];
    for (const [index, [shard, batch]] of batches.entries()) {
      const outcome = outcomes[index];
      if (outcome?.status === "rejected") {
        errors.push(outcome.reason);
        continue;
      }
      cursors.set(shard, Number(batch.at(-1)?.position ?? 0n));
      this.#published.inc({ service: this.#options.service }, batch.length);
    }
    if (errors.length > 0)
      throw new Error(`${errors.length} shards were not published`, { cause: errors[0] });
  }

  async #save(): Promise<void> {
    const heads = this.#unsaved();
    if (heads.length === 0) return;
    await this.#options.database.transaction((trx) => store.savePublished(trx, heads));
    for (const { shard, position } of heads) this.#saved.set(shard, position);
    this.#savedAtMs = this.#options.clock.monotonicMs();
  }

  #unsaved(): store.PublishedHead[] {
    return [...(this.#cursors ?? [])]
      .filter(([shard, position]) => position !== this.#saved.get(shard))
      .map(([shard, position]) => ({ shard, position }));
  }

  /** Adjusts the rows of the next round, so that a round of all shards stays within ROUND_BYTES. */
  #adjustRowsMax(envelopes: readonly Envelope[]): void {
    let bytes = 0;
    for (const envelope of envelopes) bytes += envelope.data.byteLength;
    const average = Math.max(1, bytes / Math.max(1, envelopes.length));
    const fitting = Math.max(1, Math.floor(ROUND_BYTES / average / SHARD_COUNT));
    this.#rowsMax = Math.min(ROWS_MAX, fitting, this.#rowsMax * 2);
  }
}
