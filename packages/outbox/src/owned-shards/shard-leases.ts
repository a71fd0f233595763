// Leases shards to this replica in even shares, renews the leases, takes over the shards of dead replicas,
// and detects lost shards. Correctness does not depend on leases: every commit checks the fencing token.
import { type Clock, Wakeup } from "@muster/core";
import { FailureLog } from "@muster/log";
import type { ConsumerTimings, ShardConsumerOptions } from "./consumer-options.ts";
import * as store from "./cursor-store.ts";
import { type LeasePlan, planLeases } from "./lease-plan.ts";

export interface LeaseListener {
  acquired(cursor: store.CursorRow): void;
  lost(shard: number): void;
  /** Still owned with the same fencing token; `cursor` holds the committed position. */
  renewed(cursor: store.CursorRow): void;
}

/** Lease duration in exclusive mode: no other replica exists, so leases are never renewed. */
const FOREVER_MS = 2 ** 52;
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
  }

  /** The members have changed. */
  wake(): void {
    this.#wakeup.notify();
  }

  async start(): Promise<void> {
    const deadBeforeMs = this.#clock.nowMs() - DEAD_MEMBER_RETENTION_MS;
    await this.#options.database.transaction(async (trx) => {
      await store.seedCursors(trx, this.#key);
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
      const rows = await store.lockCursors(trx, this.#key);
      const mine = rows.filter((row) => row.owner === this.#options.instanceId).map((row) => row.shard);
      await store.applyLeases(trx, this.#key, { keep: [], take: [], release: mine }, this.#lease());
      await store.removeMembers(trx, this.#key, { owner: this.#options.instanceId });
    });
    for (const shard of [...this.#fencingTokens.keys()]) this.#lose(shard);
    this.#notifyOthers();
  }

  async #tickNow(): Promise<void> {
    const lease = this.#lease();
    const { rows, plan } = await this.#options.database.transaction(async (trx) => {
      const nowMs = this.#clock.nowMs();
      const member = { owner: lease.owner, nowMs, aliveUntilMs: nowMs + this.#timings.leaseMs };
      const aliveCount = this.#options.exclusive ? 1 : await store.keepMembership(trx, this.#key, member);
      const locked = await store.lockCursors(trx, this.#key);
      const planned = this.#plan(locked, nowMs, aliveCount);
      await store.applyLeases(trx, this.#key, planned, lease);
      return { rows: locked, plan: planned };
    });
    this.#hasTakenAll = true;
    this.#applyPlan(rows, plan);
    if (plan.release.length > 0) this.#notifyOthers();
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

  #applyPlan(rows: readonly store.CursorRow[], plan: LeasePlan): void {
    for (const row of rows) {
      const { shard } = row;
      const known = this.#fencingTokens.get(shard);
      if (plan.take.includes(shard)) {
        if (known !== undefined) this.#lose(shard);
        this.#acquire({ ...row, fencingToken: row.fencingToken + 1 });
      } else if (!plan.keep.includes(shard)) {
        if (known !== undefined) this.#lose(shard);
      } else if (known === row.fencingToken) {
        this.#listener.renewed(row);
      } else {
        if (known !== undefined) this.#lose(shard);
        this.#acquire(row);
      }
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

  #lease(): { owner: string; untilMs: number } {
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
