// Connects the shard consumer to this service: applies messages, marks dead letters, and runs workers in
// between.
import type { Bus } from "@muster/bus";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { Clock } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { Folder, OwnedShards } from "@muster/outbox";
import type { Announcer } from "./changes/announcer.ts";
import { foldMessages } from "./consumers/fold-messages.ts";
import { markDead } from "./consumers/mark-dead.ts";
import type { DefinitionsCache } from "./segments/definitions-cache.ts";
import type { SegmentsMetrics } from "./segments-metrics.ts";
import type { Derivations } from "./workers/derive-profiles.ts";
import type { Timers } from "./workers/drain-timers.ts";
import { Lookout } from "./workers/lookout.ts";
import { readOutlook } from "./workers/outlook-store.ts";
import type { Purges } from "./workers/purge-segments.ts";
import type { Sweeps } from "./workers/sweep-memberships.ts";

/** Broadcast when work was added or a reader waits for it, so that owners check at once. */
export const WORK_TOPIC = "segments.work";
/** Broadcast by owners after finishing work that a reader may wait for. */
export const SETTLED_TOPIC = "segments.settled";

/** The workers, and what applying messages needs. */
export interface FolderDeps {
  readonly announcer: Announcer;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly database: Database;
  readonly definitions: DefinitionsCache;
  readonly metrics: SegmentsMetrics;
  readonly timers: Timers;
  readonly derivations: Derivations;
  readonly purges: Purges;
  readonly sweeps: Sweeps;
}

const NOTHING = new Uint8Array();
/** Polling interval for work of other owners and replicas, and for lost broadcasts. */
const LOOK_MS = 1000;

/** All methods run in the process that owns the shards, never two at a time. */
export class SegmentsFolder implements Folder {
  readonly #deps: FolderDeps;
  readonly #lookout = new Lookout();
  #shards = "";

  constructor(deps: FolderDeps) {
    this.#deps = deps;
  }

  /** Called when work was added or a reader waits for it. */
  look(): void {
    this.#lookout.ask();
  }

  async fold(trx: Transaction, messages: readonly Envelope[]): Promise<void> {
    const folded = await foldMessages(this.#deps, trx, messages);
    this.#deps.timers.lowered(folded.nextDues);
    if (folded.derivations > 0) this.#deps.derivations.look();
    this.#deps.metrics.eventsFolded(folded.events);
    this.#deps.metrics.membershipsChanged("live", folded.membershipChanges);
  }

  async dead(trx: Transaction, envelope: Envelope | undefined, shard: number): Promise<void> {
    await markDead(trx, envelope, shard, this.#deps.clock.nowMs());
    this.#deps.derivations.look();
  }

  async work(owned: OwnedShards): Promise<number> {
    const { announcer, bus, timers, derivations, purges, sweeps } = this.#deps;
    // Announcements of the batches before this call are committed.
    announcer.committed();
    const shards = owned.shards.join();
    // A shard that was taken over has pending work of its own.
    if (shards !== this.#shards) this.look();
    this.#shards = shards;
    await this.#lookOut(owned);
    const drained = await timers.drain(owned);
    announcer.committed();
    const derived = await derivations.step(owned);
    announcer.committed();
    const purged = await purges.step(owned);
    announcer.committed();
    const sweepMs = await sweeps.step(owned);
    if (drained.visited > 0 || derived.settled || purged.settled) bus.broadcast(SETTLED_TOPIC, NOTHING);
    return Math.min(drained.nextMs, derived.nextMs, purged.nextMs, sweepMs, this.#lookout.nextMs);
  }

  async #lookOut(owned: OwnedShards): Promise<void> {
    const { clock, database, timers, derivations, purges, sweeps } = this.#deps;
    const nowMs = clock.nowMs();
    if (nowMs < this.#lookout.nextMs) return;
    this.#lookout.begin();
    const outlook = await readOutlook(database.reader, owned.shards);
    timers.seen(outlook.dues);
    if (outlook.hasDerivations) derivations.look();
    if (outlook.hasPurges) purges.look();
    if (outlook.hasSweeps) sweeps.look();
    this.#lookout.restUntil(nowMs + LOOK_MS);
  }
}
