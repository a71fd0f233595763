// Removes data about an erased person from the tables of this service, in short transactions. Each
// transaction adds the removed counts to the receipt. Repeated steps, after a crash or by two workers, find
// less to remove.
import type { DescService } from "@bufbuild/protobuf";
import { type OrganizationId, type ProfileId, shardOf, uuidToBytes } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { AnswerEraser } from "@muster/idempotency";
import { scrubOutbox } from "@muster/outbox";
import type { Subjects } from "@muster/privacy";
import { answerWithout } from "@muster/rpc";
import { announcedWithout } from "./announced-without.ts";
import { eraseEvents } from "./erased-events-store.ts";
import { type ErasureKey, type ErasureTask, type PlaceCount, places, stages } from "./erasure.ts";
import { addPlaces, erasedProfileIds } from "./erasure-store.ts";
import type { EventHasher } from "./event-hash.ts";
import { deleteStep, PROFILE_ROWS, placeOf } from "./profile-rows-store.ts";
import { setStage } from "./task-store.ts";

/** The dependencies of the cleanup. */
export interface CleanDeps {
  readonly database: Database;
  readonly hasher: EventHasher;
  readonly answers: AnswerEraser;
  /** Services whose responses are stored under idempotency keys. */
  readonly services: () => readonly DescService[];
}

/**
 * Called before each transaction. False stops the work, because the process stops or another worker holds the
 * lease.
 */
export type MayGoOn = () => Promise<boolean>;

const EVENTS_AT_ONCE = 200;
const ANSWERS_AT_ONCE = 20;
const SUBJECTS_AT_ONCE = 500;

/** Removes all rows of the given tasks, which belong to one erasure. Returns true when no row is left. */
export async function cleanRows(
  deps: CleanDeps,
  erasure: ErasureKey,
  tasks: readonly ErasureTask[],
  mayGoOn: MayGoOn,
): Promise<boolean> {
  const profileIds = await erasedProfileIds(deps.database.reader, erasure);
  const subjects = { organizationId: erasure.organizationId, profileIds: new Set(profileIds) };
  const cleaner = new Cleaner(deps, subjects, mayGoOn);
  for (const task of tasks) {
    if (!task.isFormerRoot && !(await cleaner.cleanProfile(task))) return false;
  }
  const [first] = tasks;
  if (first !== undefined && !(await cleaner.cleanAnswers(first))) return false;
  for (const [shard, ofShard] of Map.groupBy(tasks, (task) => task.shard)) {
    if (!(await cleaner.cleanOutbox(shard, ofShard))) return false;
  }
  return true;
}

class Cleaner {
  readonly #deps: CleanDeps;
  readonly #subjects: Subjects;
  readonly #mayGoOn: MayGoOn;

  constructor(deps: CleanDeps, subjects: Subjects, mayGoOn: MayGoOn) {
    this.#deps = deps;
    this.#subjects = subjects;
    this.#mayGoOn = mayGoOn;
  }

  async cleanProfile(task: ErasureTask): Promise<boolean> {
    const { organizationId } = this.#subjects;
    const { profileId } = task;
    const isDone = await this.#repeat(task, (trx) => this.#eraseEvents(trx, organizationId, profileId));
    if (!isDone) return false;
    for (const rows of PROFILE_ROWS) {
      const place = placeOf(rows);
      const isEmpty = await this.#repeat(task, async (trx) => {
        const { isLast, deleted } = await deleteStep(trx, rows, organizationId, profileId);
        return { isLast, counts: [{ place, count: deleted }] };
      });
      if (!isEmpty) return false;
    }
    return true;
  }

  async cleanAnswers(task: ErasureTask): Promise<boolean> {
    for (const profileIds of chunks([...this.#subjects.profileIds], SUBJECTS_AT_ONCE)) {
      if (!(await this.#repeat(task, (trx) => this.#eraseAnswers(trx, profileIds)))) return false;
    }
    return true;
  }

  async cleanOutbox(shard: number, tasks: readonly ErasureTask[]): Promise<boolean> {
    const [first] = tasks;
    if (first === undefined) return true;
    const { database } = this.#deps;
    const formerRootIds = new Set(tasks.filter((task) => task.isFormerRoot).map((task) => task.profileId));
    const erased = { ...this.#subjects, formerRootIds };
    const isDone = await scrubOutbox(
      database,
      { shard, through: Math.max(...tasks.map((task) => task.position)) },
      {
        needles: this.#idsIn(shard, formerRootIds).map(uuidToBytes),
        rewrite: (type, data) => announcedWithout(type, data, erased),
        changed: async (trx, before) => {
          await addPlaces(trx, first.erasure, first.profileId, [
            { place: places.outbox, count: before.length },
          ]);
        },
        mayGoOn: this.#mayGoOn,
      },
    );
    if (!isDone) return false;
    await database.transaction(async (trx) => {
      for (const task of tasks) await setStage(trx, task, stages.broker);
    });
    return true;
  }

  /** Profiles that messages of the shard can mention. */
  #idsIn(shard: number, formerRootIds: ReadonlySet<ProfileId>): ProfileId[] {
    const { organizationId, profileIds } = this.#subjects;
    if (formerRootIds.size > 0) return [...profileIds, ...formerRootIds];
    return [...profileIds].filter((id) => shardOf(organizationId, id) === shard);
  }

  /**
   * Runs `step` in separate transactions until the step is the last. Each transaction adds the counts to the
   * receipt.
   */
  async #repeat(
    { erasure, profileId }: ErasureTask,
    step: (trx: Transaction) => Promise<{ isLast: boolean; counts: readonly PlaceCount[] }>,
  ): Promise<boolean> {
    for (;;) {
      if (!(await this.#mayGoOn())) return false;
      const isLast = await this.#deps.database.transaction(async (trx) => {
        const done = await step(trx);
        await addPlaces(trx, erasure, profileId, done.counts);
        return done.isLast;
      });
      if (isLast) return true;
    }
  }

  async #eraseEvents(trx: Transaction, organizationId: OrganizationId, profileId: ProfileId) {
    const of = { organizationId, profileId };
    const { found, events, undatedIds } = await eraseEvents(trx, this.#deps.hasher, of, EVENTS_AT_ONCE);
    const counts = [
      { place: places.trackedEvents, count: events },
      { place: places.undatedIds, count: undatedIds },
    ];
    return { isLast: found < EVENTS_AT_ONCE, counts };
  }

  async #eraseAnswers(trx: Transaction, profileIds: readonly ProfileId[]) {
    const { answers, services } = this.#deps;
    const rewrite = answerWithout(services(), this.#subjects);
    const { found, rewritten } = await answers.erase(trx, profileIds, ANSWERS_AT_ONCE, rewrite);
    return { isLast: found < ANSWERS_AT_ONCE, counts: [{ place: places.answers, count: rewritten }] };
  }
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  const cut: Item[][] = [];
  for (let start = 0; start < items.length; start += size) cut.push(items.slice(start, start + size));
  return cut;
}
