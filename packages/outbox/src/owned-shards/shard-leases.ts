// Leases shards to this replica in even shares, renews the leases, takes over the shards of dead replicas,
// and detects lost shards. Correctness does not depend on leases: every commit checks the fencing token.
import { type Clock, Wakeup } from "@muster/core";
import { isBlocked, type Transaction } from "@muster/db";
import { FailureLog } from "@muster/log";
import { seedAwaitedPositions } from "./awaited-position-store.ts";
import type { ConsumerTimings, ShardConsumerOptions } from "./consumer-options.ts";
import * as store from "./cursor-store.ts";
import { isFree, type LeasePlan, planLeases } from "./lease-plan.ts";

export interface LeaseListener {
  acquired(cursor: store.CursorRow): void;
  lost(shard: number): void;
  /** Still owned with the same fencing token; `cursor` holds the committed position. */
  renewed(cursor: store.CursorRow): void;
}

/** Lease duration in exclusive mode: no other replica exists, so leases are never renewed. */
const FOREVER_MS = 2 ** 52;
/** Most attempts of a tick to get a share while other replicas take shards too. */
const TAKE_ROUNDS_MAX = 3;
/** A member dead for so long is removed. */
const DEAD_MEMBER_RETENTION_MS = 60_000;

export class ShardLeases {
  readonly #options: ShardConsumerOptions;
  readonly #timings: ConsumerTimings;
  readonly #key: store.ConsumerKey;
  readonly #listener: LeaseListener;
  readonly #clock: Clock;
  readonly #wakeup = new Wakeup();
  /** Fencing token of each owned shard. */
  readonly #fencingTokens = new Map<number, number>();
  #lastTick: Promise<void> = Promise.resolve();
  #hasTakenAll = false;
  readonly #failures: FailureLog;
  readonly #takeFailures: FailureLog;

  constructor(options: ShardConsumerOptions, timings: ConsumerTimings, listener: LeaseListener) {
    this.#options = options;
    this.#timings = timings;
    this.#key = { consumer: options.consumer, source: options.source };
    this.#listener = listener;
    this.#clock = options.clock;
    this.#failures = new FailureLog(options.log, {
      failed: "leases cannot be renewed; retrying",
      recovered: "leases are being renewed again",
    });
    this.#takeFailures = new FailureLog(options.log, {
      failed: "a shard cannot be taken because a transaction holds its row; retrying",
      recovered: "shards can be taken again",
    });
  }

  /** The members have changed. */
  wake(): void {
    this.#wakeup.notify();
  }

  async start(): Promise<void> {
    const deadBeforeMs = this.#clock.nowMs() - DEAD_MEMBER_RETENTION_MS;
    await this.#options.database.transaction(async (trx) => {
      await store.seedCursors(trx, this.#key);
      await seedAwaitedPositions(trx, this.#key);
      await store.removeMembers(trx, this.#key, { deadBeforeMs });
    });
    await this.tick();
    this.#notifyOthers();
  }

  async run(signal: AbortSignal, eachTick: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      await this.#wakeup.wait(this.#clock, this.#timings.leaseTickMs, signal);
      if (signal.aborted) return;
      try {
        if (!this.#options.exclusive) await this.tick();
        await eachTick();
        this.#failures.succeeded();
      } catch (error) {
        this.#failures.failed(error);
      }
    }
  }

  /** Compares the owned shards with the table and corrects both. Ticks run one at a time. */
  tick(): Promise<void> {
    const next = this.#lastTick.then(() => this.#tickNow());
    this.#lastTick = next.catch(() => {});
    return next;
  }

  /** Releases every shard, so that other replicas take them at once. */
  async release(): Promise<void> {
    await this.#lastTick;
    await this.#options.database.transaction(async (trx) => {
      const rows = await store.readCursors(trx, this.#key);
      const release = rows.filter((row) => row.owner === this.#options.instanceId).map((row) => row.shard);
      await store.renewLeases(trx, this.#key, { keep: [], release }, this.#lease());
      await store.removeMembers(trx, this.#key, { owner: this.#options.instanceId });
    });
    for (const shard of [...this.#fencingTokens.keys()]) this.#lose(shard);
    this.#notifyOthers();
  }

  async #tickNow(): Promise<void> {
    const lease = this.#lease();
    const { aliveCount, rows, plan } = await this.#options.database.transaction((trx) =>
      this.#renew(trx, lease),
    );
    for (const row of rows) this.#compare(row, plan.keep.includes(row.shard));
    await this.#take(plan.take, aliveCount, lease);
    this.#hasTakenAll = true;
    if (plan.release.length > 0) this.#notifyOthers();
  }

  /** Renews this replica's leases, and plans the others. Writes no row of another replica. */
  async #renew(trx: Transaction, lease: store.Lease) {
    const nowMs = this.#clock.nowMs();
    const member = { owner: lease.owner, nowMs, aliveUntilMs: nowMs + this.#timings.leaseMs };
    const aliveCount = this.#options.exclusive ? 1 : await store.keepMembership(trx, this.#key, member);
    const plan = this.#plan(await store.readCursors(trx, this.#key), nowMs, aliveCount);
    await store.renewLeases(trx, this.#key, plan, lease);
    // Read again: the rows of this replica are locked now.
    return { aliveCount, rows: await store.readCursors(trx, this.#key), plan };
  }

  #plan(rows: readonly store.CursorRow[], nowMs: number, aliveCount: number): LeasePlan {
    const owner = this.#options.instanceId;
    if (!this.#options.exclusive) return planLeases(rows, { owner, nowMs, aliveCount });
    // By force, but only once: a later owner is the process that runs now.
    const mine = rows.filter((row) => row.owner === owner).map((row) => row.shard);
    return this.#hasTakenAll
      ? { keep: mine, take: [], release: [] }
      : { keep: [], take: rows.map((row) => row.shard), release: [] };
  }

  /** Compares an owned shard with its row. */
  #compare(row: store.CursorRow, isKept: boolean): void {
    const known = this.#fencingTokens.get(row.shard);
    const isOwned = isKept && row.owner === this.#options.instanceId;
    if (isOwned && known === row.fencingToken) {
      this.#listener.renewed(row);
      return;
    }
    if (known !== undefined) this.#lose(row.shard);
    if (isOwned) this.#acquire(row);
  }

  /** Takes shards. When another replica was faster, plans again, so that each replica gets its share at once. */
  async #take(planned: readonly number[], aliveCount: number, lease: store.Lease): Promise<void> {
    let shards = planned;
    let failure: unknown;
    for (let round = 0; round < TAKE_ROUNDS_MAX && shards.length > 0; round += 1) {
      const before = this.#fencingTokens.size;
      failure = await this.#takeUnlocked(shards, lease);
      if (this.#fencingTokens.size - before === shards.length) break;
      const rows = await store.readCursors(this.#options.database.reader, this.#key);
      shards = this.#plan(rows, this.#clock.nowMs(), aliveCount).take;
    }
    if (failure === undefined) this.#takeFailures.succeeded();
    else this.#takeFailures.failed(failure);
  }

  /**
   * Takes the shards in one transaction, or one by one when another transaction holds a row. Returns the error of
   * a shard that stays locked: a stopped replica holds its row until the server ends that session.
   */
  async #takeUnlocked(shards: readonly number[], lease: store.Lease): Promise<unknown> {
    try {
      await this.#takeTogether(shards, lease);
      return undefined;
    } catch (error) {
      if (!isBlocked(error)) throw error;
      if (shards.length === 1) return error;
    }
    let failure: unknown;
    for (const shard of shards) failure = (await this.#takeUnlocked([shard], lease)) ?? failure;
    return failure;
  }

  async #takeTogether(shards: readonly number[], lease: store.Lease): Promise<void> {
    const isFreeNow = (row: store.CursorRow) => this.#options.exclusive || isFree(row, this.#clock.nowMs());
    const taken = await this.#options.database.transaction(
      (trx) => store.takeShards(trx, this.#key, shards, lease, isFreeNow),
      { lockWait: "once" },
    );
    for (const row of taken) {
      if (this.#fencingTokens.has(row.shard)) this.#lose(row.shard);
      this.#acquire(row);
    }
  }

  #acquire(cursor: store.CursorRow): void {
    this.#fencingTokens.set(cursor.shard, cursor.fencingToken);
    this.#listener.acquired(cursor);
  }

  #lose(shard: number): void {
    this.#fencingTokens.delete(shard);
    this.#listener.lost(shard);
  }

  #lease(): store.Lease {
    const untilMs = this.#options.exclusive ? FOREVER_MS : this.#clock.nowMs() + this.#timings.leaseMs;
    return { owner: this.#options.instanceId, untilMs };
  }

  #notifyOthers(): void {
    this.#options.bus.broadcast(leaseTopic(this.#key), Buffer.from(this.#options.instanceId, "utf8"));
  }
}

export function leaseTopic({ consumer, source }: store.ConsumerKey): string {
  return `leases.${consumer}.${source}`;
}
