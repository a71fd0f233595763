// Evaluates scanned states, and writes them in a transaction that checks the rows of the evaluation again.
import { assert, type Clock } from "@muster/core";
import type { Database, Queryable, Transaction } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import type { Announcer } from "../announcements/announcer.ts";
import { saveChangedProfiles } from "../announcements/changed-profile.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { compareProfileKeys } from "../profiles/profile-key.ts";
import { deleteProfiles } from "../rebuild/missing-profiles.ts";
import {
  evaluateScanned,
  isBasisCurrent,
  type ReplacedStates,
  type ScannedShard,
  saveScanRemainder,
} from "../rebuild/replace-states.ts";
import type { SegmentsMetrics } from "../segments-metrics.ts";
import { TransactionSlices } from "../transaction-slices.ts";
import { completeTask, isLastChunk } from "./complete-task.ts";
import type { RuleVersions } from "./rule-versions.ts";

export interface StateWriterDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly database: Database;
  readonly metrics: SegmentsMetrics;
  readonly ruleVersions: RuleVersions;
}

/** New states that are not written yet. */
export interface EvaluatedShards {
  readonly definitions: Definitions;
  readonly nowMs: number;
  /** All of one organization, in order of the shard. */
  readonly shards: readonly ReplacedStates[];
}

/** Evaluations before the transaction. Once their rows have changed as often, the transaction evaluates. */
const EVALUATIONS_MAX = 2;
/** Time between two turns of the event loop while no transaction is open. */
const SLICE_MS = 4;

export class StateWriter {
  readonly #deps: StateWriterDeps;

  constructor(deps: StateWriterDeps) {
    this.#deps = deps;
  }

  /** Evaluates and writes. Returns the duration of the write transaction. */
  async write(
    owned: OwnedShards,
    scanned: readonly ScannedShard[],
    definitions: Definitions,
  ): Promise<number> {
    for (let evaluations = 0; evaluations < EVALUATIONS_MAX; evaluations += 1) {
      const writeMs = await this.writeIfCurrent(owned, await this.evaluate(scanned, definitions));
      if (writeMs !== undefined) return writeMs;
    }
    const writeMs = await this.#transaction(owned, scanned, (trx) =>
      this.#evaluate(trx, scanned, definitions, new TransactionSlices(this.#deps.clock)),
    );
    assert(writeMs !== undefined, "the transaction has evaluated its own rows");
    return writeMs;
  }

  /** Computes the new states. Messages may be applied meanwhile. */
  evaluate(scanned: readonly ScannedShard[], definitions: Definitions): Promise<EvaluatedShards> {
    const { clock, database } = this.#deps;
    return this.#evaluate(database.reader, scanned, definitions, new TransactionSlices(clock, SLICE_MS));
  }

  /**
   * Returns the duration of the transaction; undefined, without a write, if a row has changed since the
   * evaluation.
   */
  writeIfCurrent(owned: OwnedShards, evaluated: EvaluatedShards): Promise<number | undefined> {
    const scanned = evaluated.shards.map((one) => one.scanned);
    return this.#transaction(owned, scanned, async (trx) => {
      for (const one of evaluated.shards) if (!(await isBasisCurrent(trx, one))) return undefined;
      return evaluated;
    });
  }

  async #evaluate(
    db: Queryable,
    scanned: readonly ScannedShard[],
    definitions: Definitions,
    slices: TransactionSlices,
  ): Promise<EvaluatedShards> {
    const nowMs = this.#deps.clock.nowMs();
    const shards: ReplacedStates[] = [];
    for (const one of [...scanned].sort((a, b) => a.task.shard - b.task.shard)) {
      shards.push(await evaluateScanned(db, one, definitions, { nowMs, slices }));
    }
    return { definitions, nowMs, shards };
  }

  async #transaction(
    owned: OwnedShards,
    scanned: readonly ScannedShard[],
    statesIn: (trx: Transaction) => Promise<EvaluatedShards | undefined>,
  ): Promise<number | undefined> {
    const { clock, metrics, ruleVersions } = this.#deps;
    const shards = scanned.map(({ task }) => task.shard).sort((a, b) => a - b);
    const organizationId = scanned[0]?.task.organizationId;
    assert(organizationId !== undefined, "a write has a chunk");
    let startMs = clock.monotonicMs();
    const changes = await owned.transaction(shards, async (trx) => {
      startMs = clock.monotonicMs();
      // Locks the organization first, which is the lock order of all writers.
      const isEnding = scanned.some(isLastChunk);
      if (isEnding) await ruleVersions.lockOrganization(trx, organizationId);
      const evaluated = await statesIn(trx);
      if (evaluated === undefined) return undefined;
      const written = await this.#save(trx, evaluated);
      if (isEnding) await ruleVersions.switchFinishedRules(trx, organizationId);
      return written;
    });
    if (changes === undefined) return undefined;
    metrics.membershipsChanged("backfill", changes);
    return clock.monotonicMs() - startMs;
  }

  /** Returns the number of changed memberships. */
  async #save(trx: Transaction, { definitions, nowMs, shards }: EvaluatedShards): Promise<number> {
    const { announcer, ruleVersions } = this.#deps;
    for (const one of shards) await saveScanRemainder(trx, one, definitions);
    const changed = shards.flatMap((one) => [...one.changed, ...one.missing]).sort(compareProfileKeys);
    await saveChangedProfiles(trx, changed, announcer, nowMs);
    for (const one of shards) {
      const { organizationId, shard } = one.scanned.task;
      await ruleVersions.publishRemoved(trx, one.missing, nowMs);
      await deleteProfiles(trx, organizationId, shard, one);
    }
    for (const { scanned } of shards) await completeTask(trx, scanned);
    return changed.reduce((sum, { changes }) => sum + changes.length, 0);
  }
}
