// Publishes what is committed: every shard's messages in position order, under a lease. Two relays at
// once (a lease lost unawares) repeat messages and harm nothing: consumers drop repeats by position.
import type { Bus } from "@muster/bus";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { assert, type Clock, SHARD_COUNT, Wakeup } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import { backoffMs } from "./backoff.ts";
import { FreshMessages } from "./fresh-messages.ts";
import { readPositions, readRanges, type ShardRange } from "./outbox-store.ts";
import type { OutboxPort } from "./ports.ts";
import * as store from "./relay-store.ts";

export interface RelayOptions {
  readonly service: string;
  readonly database: Database;
  readonly bus: Bus;
  /** Whose commits wake the relay, and hand it what they hold. */
  readonly outbox: Pick<OutboxPort, "onCommitted" | "onAppended">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly instanceId: string;
  /** No other process uses this database: the lease is taken by force, once. */
  readonly exclusive: boolean;
  readonly timings?: Partial<RelayTimings>;
}

export interface RelayTimings {
  readonly leaseMs: number;
  /** The net under the wakes. */
  readonly pollMs: number;
  readonly trimEveryMs: number;
  /** Published messages stay at least so long: a broker may lose what it has acknowledged. */
  readonly keepMs: number;
}

const TIMINGS: RelayTimings = { leaseMs: 5_000, pollMs: 1_000, trimEveryMs: 3_600_000, keepMs: 86_400_000 };
const BACKOFF = { minMs: 50, maxMs: 5_000 };
/** Of one shard in one round. */
const ROWS_MAX = 256;
const ROWS_FIRST = 8;
/** What a round of all shards should hold in memory. */
const ROUND_BYTES = 16 * 1024 * 1024;
/** Messages of commits that come faster than they are published; above it they are read from the table. */
const FRESH_BYTES_MAX = 16 * 1024 * 1024;
const TRIM_ROWS = 500;
/** Cursors are saved at most this often; what a crash has published and not saved is published again. */
const SAVE_MS = 200;
/** Takes no renewals: nobody else is there to take it. */
const FOREVER_MS = 2 ** 52;

/** A worker: start it, stop it. */
export class OutboxRelay {
  readonly name: string;
  readonly #options: RelayOptions;
  readonly #timings: RelayTimings;
  readonly #log: Logger;
  readonly #published;
  readonly #failures;
  readonly #wakeup = new Wakeup();
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;
  #leaseUntilMs = 0;
  #askAgainMs = 0;
  #trimAtMs = 0;
  #rowsMax = ROWS_FIRST;
  /** What is published, while the lease is held without a break; the table follows. */
  #cursors: Map<number, number> | undefined;
  #saved = new Map<number, number>();
  #savedAtMs = Number.NEGATIVE_INFINITY;
  readonly #fresh = new FreshMessages(FRESH_BYTES_MAX);
  /** The table may hold what nobody handed over: after a start, a failure, or another process's commit. */
  #mustRead = true;
  #readAtMs = 0;
  #failing = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.name = `relay.${options.service}`;
    this.#timings = { ...TIMINGS, ...options.timings };
    this.#log = options.log.child({ relay: options.service });
    this.#published = options.metrics.counter(
      "muster_outbox_published_messages_total",
      "Messages that the bus has taken from the outbox.",
      ["service"],
    );
    this.#failures = options.metrics.counter(
      "muster_outbox_publish_failures_total",
      "Rounds of the relay in which something was not published.",
      ["service"],
    );
  }

  async start(): Promise<void> {
    this.#trimAtMs = this.#options.clock.nowMs() + Math.min(60_000, this.#timings.trimEveryMs);
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
      this.#log.warn({ err: error }, "the relay's lease was not freed; it runs out by itself");
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    const unlisten = this.#listen();
    let failures = 0;
    while (!signal.aborted) {
      try {
        const more = (await this.#holdLease()) && (await this.#round());
        this.#recovered();
        failures = 0;
        if (!more) await this.#wakeup.wait(clock, this.#waitMs(), signal);
      } catch (error) {
        failures += 1;
        this.#mustRead = true;
        this.#failed(error);
        await clock.sleep(backoffMs(failures, BACKOFF), signal);
      }
    }
    unlisten();
  }

  #listen(): () => void {
    const { outbox } = this.#options;
    const unlisten = outbox.onCommitted((isOwn) => {
      // Our own commits are handed over.
      if (isOwn) return;
      this.#mustRead = true;
      this.#wakeup.notify();
    });
    const unlistenAppends = outbox.onAppended((messages) => {
      if (this.#leaseUntilMs === 0 || !this.#fresh.offer(messages)) this.#mustRead = true;
      this.#wakeup.notify();
    });
    return () => {
      unlisten();
      unlistenAppends();
    };
  }

  /** Until the next look at the table, or until cursors are to be saved. */
  #waitMs(): number {
    const { pollMs } = this.#timings;
    if (this.#leaseUntilMs === 0 || this.#unsaved().length === 0) return pollMs;
    const dueMs = this.#savedAtMs + SAVE_MS - this.#options.clock.monotonicMs();
    return Math.min(pollMs, Math.max(1, dueMs));
  }

  async #holdLease(): Promise<boolean> {
    const { clock, database, instanceId, exclusive } = this.#options;
    const nowMs = clock.nowMs();
    const { leaseMs } = this.#timings;
    // Renewed well before it ends, so that one slow renewal loses nothing.
    if (this.#leaseUntilMs - nowMs > leaseMs * 0.6) return true;
    // Commits wake a standby too; it asks for the lease no oftener than it polls.
    if (this.#leaseUntilMs === 0 && clock.monotonicMs() < this.#askAgainMs) return false;
    const untilMs = exclusive ? FOREVER_MS : nowMs + leaseMs;
    const held = await database.transaction((trx) =>
      store.takeRelayLease(trx, { owner: instanceId, nowMs, untilMs, byForce: exclusive }),
    );
    // Whoever had it meanwhile has moved the cursors.
    if (!held || this.#leaseUntilMs <= nowMs) {
      this.#cursors = undefined;
      this.#fresh.clear();
      this.#mustRead = true;
    }
    this.#leaseUntilMs = held ? untilMs : 0;
    this.#askAgainMs = clock.monotonicMs() + this.#timings.pollMs * 0.9;
    return held;
  }

  /** True if there is, or may be, more to do at once. */
  async #round(): Promise<boolean> {
    const { clock, database } = this.#options;
    if (this.#cursors === undefined) {
      this.#cursors = await store.readPublished(database.reader);
      this.#saved = new Map(this.#cursors);
    }
    const { messages, isWhole } = this.#fresh.take(this.#cursors);
    if (!isWhole || clock.monotonicMs() >= this.#readAtMs) this.#mustRead = true;
    const envelopes = messages.length > 0 ? messages : await this.#read(this.#cursors);
    if (envelopes.length > 0) await this.#publish(envelopes, this.#cursors);
    if (clock.monotonicMs() - this.#savedAtMs >= SAVE_MS) await this.#save();
    if (envelopes.length > 0) return true;
    if (clock.nowMs() >= this.#trimAtMs) await this.#trim();
    return this.#mustRead;
  }

  /** The next unpublished messages of the table, where it may hold any. */
  async #read(cursors: ReadonlyMap<number, number>): Promise<Envelope[]> {
    if (!this.#mustRead) return [];
    const { clock, database, service } = this.#options;
    this.#mustRead = false;
    const ranges = this.#unpublished(cursors, await readPositions(database.reader));
    this.#readAtMs = clock.monotonicMs() + this.#timings.pollMs;
    if (ranges.length === 0) return [];
    const envelopes = await readRanges(database.reader, service, ranges);
    assert(envelopes.length > 0, "unpublished outbox messages are missing");
    // There may be more than one round takes.
    this.#mustRead = true;
    this.#tune(envelopes);
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

  /** As many rows next time as keep a round of all shards within its bytes. */
  #tune(envelopes: readonly Envelope[]): void {
    let bytes = 0;
    for (const envelope of envelopes) bytes += envelope.data.byteLength;
    const average = Math.max(1, bytes / Math.max(1, envelopes.length));
    const fitting = Math.max(1, Math.floor(ROUND_BYTES / average / SHARD_COUNT));
    this.#rowsMax = Math.min(ROWS_MAX, fitting, this.#rowsMax * 2);
  }

  async #trim(): Promise<void> {
    const { clock, database } = this.#options;
    const writtenBeforeMs = clock.nowMs() - this.#timings.keepMs;
    let trimmed = 0;
    for (let shard = 0; shard < SHARD_COUNT; shard += 1) {
      for (;;) {
        const count = await database.transaction((trx) =>
          store.trimShard(trx, { shard, writtenBeforeMs, limit: TRIM_ROWS }),
        );
        trimmed += count;
        if (count < TRIM_ROWS || this.#stopping.signal.aborted) break;
        if (!(await this.#holdLease())) return;
      }
    }
    this.#trimAtMs = clock.nowMs() + this.#timings.trimEveryMs;
    if (trimmed > 0) this.#log.info({ trimmed }, "outbox trimmed");
  }

  #failed(error: unknown): void {
    this.#failures.inc({ service: this.#options.service });
    if (!this.#failing) this.#log.error({ err: error }, "the outbox cannot be published; trying again");
    this.#failing = true;
  }

  #recovered(): void {
    if (this.#failing) this.#log.info({}, "the outbox is being published again");
    this.#failing = false;
  }
}
