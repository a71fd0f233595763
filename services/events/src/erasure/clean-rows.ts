// Removes data about an erased person from the tables of this service, in short transactions. Each
// transaction adds the removed counts to the receipt. Repeated steps, after a crash or by two workers, find
// less to remove.
import type { DescService } from "@bufbuild/protobuf";
import { chunksOf, type OrganizationId, type ProfileId, shardOf, uuidToBytes } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { ResponseEraser } from "@muster/idempotency";
import { eraseFromOutbox } from "@muster/outbox";
import type { Subjects } from "@muster/privacy";
import { responseWithout } from "@muster/rpc";
import { eraseEvents } from "../erased-events/erase-events.ts";
import type { EventHasher } from "../erased-events/event-hash.ts";
import { eraseFromMessage } from "./erase-from-message.ts";
import { type ErasureKey, type ErasureTask, locations, type RemovedCount, stages } from "./erasure.ts";
import { addRemovedCounts, erasedProfileIds } from "./erasure-store.ts";
import { deleteStep, locationOf, PROFILE_TABLES } from "./profile-tables-store.ts";
import { setStage } from "./task-store.ts";

/** The dependencies of the cleanup. */
export interface CleanDeps {
  readonly database: Database;
  readonly hasher: EventHasher;
  readonly responses: ResponseEraser;
  /** Services whose responses are stored under idempotency keys. */
  readonly services: () => readonly DescService[];
}

/**
 * Called before each transaction. False stops the work, because the process stops or another worker holds the
 * lease.
 */
export type ShouldContinue = () => Promise<boolean>;

const EVENTS_AT_ONCE = 200;
const RESPONSES_AT_ONCE = 20;
const SUBJECTS_AT_ONCE = 500;

/** Removes all rows of the given tasks, which belong to one erasure. Returns true when no row is left. */
export async function cleanRows(
  deps: CleanDeps,
  erasure: ErasureKey,
  tasks: readonly ErasureTask[],
  shouldContinue: ShouldContinue,
): Promise<boolean> {
  const profileIds = await erasedProfileIds(deps.database.reader, erasure);
  const subjects = { organizationId: erasure.organizationId, profileIds: new Set(profileIds) };
  const cleaner = new Cleaner(deps, subjects, shouldContinue);
  for (const task of tasks) {
    if (!task.isMergeTarget && !(await cleaner.cleanProfile(task))) return false;
  }
  const [first] = tasks;
  if (first !== undefined && !(await cleaner.cleanResponses(first))) return false;
  for (const [shard, ofShard] of Map.groupBy(tasks, (task) => task.shard)) {
    if (!(await cleaner.cleanOutbox(shard, ofShard))) return false;
  }
  return true;
}

class Cleaner {
  readonly #deps: CleanDeps;
  readonly #subjects: Subjects;
  readonly #shouldContinue: ShouldContinue;

  constructor(deps: CleanDeps, subjects: Subjects, shouldContinue: ShouldContinue) {
    this.#deps = deps;
    this.#subjects = subjects;
    this.#shouldContinue = shouldContinue;
  }

  async cleanProfile(task: ErasureTask): Promise<boolean> {
    const { organizationId } = this.#subjects;
    const { profileId } = task;
    const isDone = await this.#repeat(task, (trx) => this.#eraseEvents(trx, organizationId, profileId));
    if (!isDone) return false;
    for (const rows of PROFILE_TABLES) {
      const location = locationOf(rows);
      const isEmpty = await this.#repeat(task, async (trx) => {
        const { isLast, deleted } = await deleteStep(trx, rows, organizationId, profileId);
        return { isLast, counts: [{ location, count: deleted }] };
      });
      if (!isEmpty) return false;
    }
    return true;
  }

  async cleanResponses(task: ErasureTask): Promise<boolean> {
    for (const profileIds of chunksOf([...this.#subjects.profileIds], SUBJECTS_AT_ONCE)) {
      if (!(await this.#repeat(task, (trx) => this.#eraseResponses(trx, profileIds)))) return false;
    }
    return true;
  }

  async cleanOutbox(shard: number, tasks: readonly ErasureTask[]): Promise<boolean> {
    const [first] = tasks;
    if (first === undefined) return true;
    const { database } = this.#deps;
    const mergeTargetIds = new Set(tasks.filter((task) => task.isMergeTarget).map((task) => task.profileId));
    const erased = { ...this.#subjects, mergeTargetIds };
    const isDone = await eraseFromOutbox(
      database,
      { shard, through: Math.max(...tasks.map((task) => task.position)) },
      {
        profileIdBytes: this.#idsIn(shard, mergeTargetIds).map(uuidToBytes),
        rewrite: (type, data) => eraseFromMessage(type, data, erased),
        changed: async (trx, before) => {
          await addRemovedCounts(trx, first.erasure, first.profileId, [
            { location: locations.outbox, count: before.length },
          ]);
        },
        shouldContinue: this.#shouldContinue,
      },
    );
    if (!isDone) return false;
    await database.transaction(async (trx) => {
      for (const task of tasks) await setStage(trx, task, stages.broker);
    });
    return true;
  }

  /** Profiles that messages of the shard can mention. */
  #idsIn(shard: number, mergeTargetIds: ReadonlySet<ProfileId>): ProfileId[] {
    const { organizationId, profileIds } = this.#subjects;
    if (mergeTargetIds.size > 0) return [...profileIds, ...mergeTargetIds];
    return [...profileIds].filter((id) => shardOf(organizationId, id) === shard);
  }

  /**
   * Runs `step` in separate transactions until the step is the last. Each transaction adds the counts to the
   * receipt.
   */
  async #repeat(
    { erasure, profileId }: ErasureTask,
    step: (trx: Transaction) => Promise<{ isLast: boolean; counts: readonly RemovedCount[] }>,
  ): Promise<boolean> {
    for (;;) {
      if (!(await this.#shouldContinue())) return false;
      const isLast = await this.#deps.database.transaction(async (trx) => {
        const done = await step(trx);
        await addRemovedCounts(trx, erasure, profileId, done.counts);
        return done.isLast;
      });
      if (isLast) return true;
    }
  }

  async #eraseEvents(trx: Transaction, organizationId: OrganizationId, profileId: ProfileId) {
    const profileKey = { organizationId, profileId };
    const { found, events, undatedIds } = await eraseEvents(
      trx,
      this.#deps.hasher,
      profileKey,
      EVENTS_AT_ONCE,
    );
    const counts = [
      { location: locations.trackedEvents, count: events },
      { location: locations.undatedIds, count: undatedIds },
    ];
    return { isLast: found < EVENTS_AT_ONCE, counts };
  }

  async #eraseResponses(trx: Transaction, profileIds: readonly ProfileId[]) {
    const { responses, services } = this.#deps;
    const rewrite = responseWithout(services(), this.#subjects);
    const { found, rewritten } = await responses.erase(trx, profileIds, RESPONSES_AT_ONCE, rewrite);
    return {
      isLast: found < RESPONSES_AT_ONCE,
      counts: [{ location: locations.responses, count: rewritten }],
    };
  }
}
