// Finishes erasures: removes remaining copies of erased profiles and reports to the events service. Resumes
// after a crash, because a row stays until the report is acknowledged.
import type { Bus } from "@muster/bus";
import { type Clock, Wakeup } from "@muster/core";
import { FailureLog, type Logger } from "@muster/log";
import { readPublished, type ShardConsumer } from "@muster/outbox";
import type { EventsFeed } from "../events/events-feed.ts";
import { readRebuildReasons } from "../profiles/rebuild-store.ts";
import { WORK_DONE_TOPIC } from "../topics.ts";
import { type CleanDeps, cleanCopies } from "./clean-copies.ts";
import { deleteErasure, type Erasure, listErasures, readRemovedCounts } from "./erasure-store.ts";
import { locations, ZERO_COUNTS } from "./locations.ts";

/** The dependencies of the worker. */
export interface ErasureWorkerOptions extends CleanDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly consumer: Pick<ShardConsumer, "ownedShards">;
  readonly feed: EventsFeed;
  readonly log: Logger;
}

/** Broadcast after outbox messages were rewritten, so that caches of messages are emptied. */
export const ERASED_TOPIC = "segments.erased";

const NOTHING = new Uint8Array();
const ERASURES_AT_ONCE = 100;
/** Polling interval in case a broadcast is lost, and pause after a failure. */
const POLL_MS = 2_000;
/** Pause while the relay publishes older messages, or while the profile's rows are being deleted. */
const WAIT_MS = 100;

/**
 * Each process works for the shards it owns. During a handover two processes may work for the same shard,
 * which is harmless: see `cleanCopies`.
 */
export class ErasureWorker {
  readonly name = "segments.erasures";
  readonly #options: ErasureWorkerOptions;
  readonly #wakeup = new Wakeup();
  readonly #stopping = new AbortController();
  readonly #failureLog: FailureLog;
  #stopListening: (() => void) | undefined;
  #loop: Promise<void> | undefined;

  constructor(options: ErasureWorkerOptions) {
    this.#options = options;
    this.#failureLog = new FailureLog(options.log, {
      failed: "erasures failed; retrying",
      recovered: "erasures succeed again",
    });
  }

  async start(): Promise<void> {
    this.#stopListening = this.#options.bus.onBroadcast(WORK_DONE_TOPIC, () => this.#wakeup.notify());
    this.#loop = this.#run();
  }

  /** Stops after the current step. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#stopListening?.();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let isWaiting = false;
      try {
        isWaiting = await this.#step();
        this.#failureLog.succeeded();
      } catch (error) {
        this.#failureLog.failed(error);
      }
      await this.#wakeup.wait(clock, isWaiting ? WAIT_MS : POLL_MS, signal);
    }
  }

  /** Returns whether an erasure has to wait. */
  async #step(): Promise<boolean> {
    const { consumer, database } = this.#options;
    const found = await listErasures(database.reader, consumer.ownedShards(), ERASURES_AT_ONCE);
    const groups = Map.groupBy(found, ({ organizationId, shard }) => `${organizationId}/${shard}`);
    let isWaiting = false;
    for (const group of groups.values()) {
      if (this.#stopping.signal.aborted) return false;
      const ready = await this.#selectReady(group);
      if (ready.length < group.length) isWaiting = true;
      if (ready.length > 0) await this.#finishErasures(ready);
    }
    return isWaiting;
  }

  /** Erasures with no rows left in this service and no unpublished messages about the profile. */
  async #selectReady(group: readonly Erasure[]): Promise<Erasure[]> {
    const [first] = group;
    if (first === undefined) return [];
    const { reader } = this.#options.database;
    const ids = group.map(({ profileId }) => profileId);
    const marked = await readRebuildReasons(reader, first.organizationId, first.shard, ids);
    // A relay may hold the original message in memory, so the message must be published first.
    const published = (await readPublished(reader)).get(first.shard) ?? 0;
    return group.filter(({ profileId, through }) => !marked.has(profileId) && through <= published);
  }

  /** The erasures are of the same organization and shard. */
  async #finishErasures(erasures: readonly Erasure[]): Promise<void> {
    const { bus, database, feed } = this.#options;
    const [first] = erasures;
    const isClean = await cleanCopies(this.#options, erasures, async () => !this.#stopping.signal.aborted);
    if (first === undefined || !isClean) return;
    bus.broadcast(ERASED_TOPIC, NOTHING);
    await bus.purge("segments", first.shard);
    // The last step before the report: the files of the database hold no copy either.
    await database.removeDeletedData();
    for (const erasure of erasures) {
      const removed = await readRemovedCounts(database.reader, erasure);
      await feed.reportErasure(erasure, { ...ZERO_COUNTS, ...removed, [locations.stream]: 1 });
      await database.transaction((trx) => deleteErasure(trx, erasure));
    }
  }
}
