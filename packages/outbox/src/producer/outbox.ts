// The outbox of a producing service appends messages inside the service's transactions, reads messages for
// the bus and for consumers with a gap, and polls how far each consumer has applied the messages.
import type { Bus } from "@muster/bus";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { assert, type Clock, type IdSource, MESSAGE_BYTES_MAX, SHARD_COUNT } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { FailureLog, type Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { AppliedShard, OutboxDraft, OutboxPort, ProducerPort } from "../ports/ports.ts";
import { ThrottledCall } from "../ports/throttled-call.ts";
import { BacklogTracker } from "./backlog-tracker.ts";
import { OutboxGauges } from "./outbox-gauges.ts";
import { readOldestUnpublishedMs, readState } from "./outbox-state-store.ts";
import * as store from "./outbox-store.ts";

export interface OutboxOptions {
  /** The producing service, such as "events". */
  readonly service: string;
  readonly database: Database;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly instanceId: string;
}

/**
 * The largest `data` of a message, in bytes: the rest of MESSAGE_BYTES_MAX is for the envelope. A producer
 * splits larger data.
 */
export const MESSAGE_DATA_BYTES_MAX = MESSAGE_BYTES_MAX - 1024;
const TYPE_BYTES_MAX = 128;
const TRACE_PARENT_BYTES_MAX = 64;
/** Longest time until this process reads the appends of other processes. */
const POLL_MS = 1_000;
/** Shortest time between two broadcasts of commits to other replicas. */
const NOTIFY_MS_MIN = 5;

/** The outbox of one process and producing service. Also a worker with `start` and `stop`. */
export class Outbox implements OutboxPort, ProducerPort {
  readonly name: string;
  readonly #options: OutboxOptions;
  readonly #log: Logger;
  readonly #tracker = new BacklogTracker();
  readonly #gauges: OutboxGauges;
  readonly #listeners = new Set<(isOwn: boolean) => void>();
  readonly #appendListeners = new Set<(messages: readonly Envelope[]) => void>();
  readonly #notifyOthers: ThrottledCall;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;
  #unsubscribe: (() => void) | undefined;
  readonly #pollFailures: FailureLog;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.name = `outbox.${options.service}`;
    this.#log = options.log.child({ outbox: options.service });
    this.#pollFailures = new FailureLog(this.#log, {
      failed: "the outbox's state cannot be read; retrying",
    });
    this.#gauges = new OutboxGauges(options.metrics, options.service);
    const topic = `outbox.${options.service}`;
    const sender = Buffer.from(options.instanceId, "utf8");
    this.#notifyOthers = new ThrottledCall(options.clock, NOTIFY_MS_MIN, () =>
      options.bus.broadcast(topic, sender),
    );
    this.#unsubscribe = options.bus.onBroadcast(topic, (payload) => {
      if (!sender.equals(payload)) this.#notifyCommitted(false);
    });
    options.bus.attachSource(options.service, this);
  }

  async start(): Promise<void> {
    await this.#poll();
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#notifyOthers.cancel();
    await this.#loop;
  }

  /**
   * Appends messages, as the last statements of the transaction: from here on the transaction holds the rows
   * of the shards. Commits of one shard are therefore in position order, so that a reader of a position can
   * also read all positions before it.
   */
  async append(trx: Transaction, drafts: readonly OutboxDraft[]): Promise<number[]> {
    if (drafts.length === 0) return [];
    for (const draft of drafts) checkDraft(draft);
    const growth = growthByShard(drafts);
    const ends = await store.bumpPositions(trx, growth);
    const nowMs = this.#options.clock.nowMs();
    const next = new Map(
      [...ends].map(([shard, end]) => {
        const grown = growth.get(shard) ?? { messages: 0, items: 0 };
        return [shard, { position: end.position - grown.messages, items: end.items - grown.items }];
      }),
    );
    const rows = drafts.map((draft): store.OutboxRow => {
      const at = next.get(draft.shard) ?? { position: 0, items: 0 };
      at.position += 1;
      at.items += draft.items;
      return {
        shard: draft.shard,
        position: at.position,
        messageId: this.#options.ids.next(nowMs),
        type: draft.type,
        timeMs: nowMs,
        itemsThrough: at.items,
        traceParent: fitsColumn(draft.traceParent) ? draft.traceParent : "",
        data: draft.data,
      };
    });
    await store.insertMessages(trx, rows);
    for (const [shard, end] of ends) this.#tracker.appended(shard, end.items);
    this.#notifyOnceCommitted(trx, rows);
    return rows.map((row) => row.position);
  }

  committed(): void {
    this.#notifyCommitted(true);
    this.#notifyOthers.call();
  }

  positions(): Promise<number[]> {
    return store.readPositions(this.#options.database.reader);
  }

  read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]> {
    return store.readMessages(this.#options.database.reader, this.#options.service, {
      shard,
      afterPosition,
      limit,
    });
  }

  async reportApplied(consumer: string, shards: readonly AppliedShard[]): Promise<void> {
    const valid = shards.filter(({ shard }) => shard >= 0 && shard < SHARD_COUNT);
    if (valid.length === 0) return;
    await this.#options.database.transaction((trx) => store.saveAppliedPositions(trx, consumer, valid));
    this.#tracker.applied(consumer, valid);
  }

  backlogItems(): number {
    return this.#tracker.backlogItems();
  }

  onCommitted(listener: (isOwn: boolean) => void): () => void {
    return addListener(this.#listeners, (isOwn) => listener(isOwn));
  }

  onAppended(listener: (messages: readonly Envelope[]) => void): () => void {
    return addListener(this.#appendListeners, (messages) => listener(messages));
  }

  #notifyOnceCommitted(trx: Transaction, rows: readonly store.OutboxRow[]): void {
    if (this.#appendListeners.size === 0) return;
    trx.executionPromise.then(
      () => {
        const { service } = this.#options;
        const messages = rows.map((row) => store.envelopeOf(service, row));
        this.#notify(this.#appendListeners, messages);
      },
      // The transaction was rolled back, or the outcome is unknown: a poll reads the stored state.
      () => {},
    );
  }

  #notifyCommitted(isOwn: boolean): void {
    this.#notify(this.#listeners, isOwn);
  }

  #notify<Notification>(
    listeners: ReadonlySet<(notification: Notification) => void>,
    notification: Notification,
  ): void {
    for (const listener of listeners) {
      try {
        listener(notification);
      } catch (error) {
        this.#log.error({ err: error }, "a listener of commits threw");
      }
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#options.clock.sleep(POLL_MS, signal);
      if (!signal.aborted) await this.#poll();
    }
  }

  async #poll(): Promise<void> {
    try {
      const before = this.#tracker.localChanges();
      const state = await readState(this.#options.database.reader);
      if (this.#tracker.refresh(state, before)) this.#notifyCommitted(false);
      const oldestMs = await readOldestUnpublishedMs(this.#options.database.reader, state);
      this.#gauges.set(state, this.#tracker.backlogItems(), oldestMs, this.#options.clock.nowMs());
      this.#pollFailures.succeeded();
    } catch (error) {
      this.#pollFailures.failed(error);
    }
  }
}

/** Adds a listener as a separate function, and returns a function that removes the listener. */
function addListener<Listener>(listeners: Set<Listener>, own: Listener): () => void {
  listeners.add(own);
  return () => void listeners.delete(own);
}

function fitsColumn(traceParent: string): boolean {
  return Buffer.byteLength(traceParent) <= TRACE_PARENT_BYTES_MAX;
}

function checkDraft(draft: OutboxDraft): void {
  const { shard, type, data, items } = draft;
  assert(Number.isInteger(shard) && shard >= 0 && shard < SHARD_COUNT, `no such shard: ${shard}`);
  assert(type.length > 0 && type.length <= TYPE_BYTES_MAX, `bad message type: ${type}`);
  assert(Number.isInteger(items) && items >= 0, `bad item count: ${items}`);
  assert(data.byteLength <= MESSAGE_DATA_BYTES_MAX, `${type} of ${data.byteLength} bytes must be split`);
}

function growthByShard(drafts: readonly OutboxDraft[]): Map<number, store.Growth> {
  const growth = new Map<number, { messages: number; items: number }>();
  for (const draft of drafts) {
    const shard = growth.get(draft.shard) ?? { messages: 0, items: 0 };
    shard.messages += 1;
    shard.items += draft.items;
    growth.set(draft.shard, shard);
  }
  return growth;
}
