// Chooses which profiles to read next. Rebuilds and backfills take turns, organizations take turns within each
// kind, and the oldest evaluation of an organization comes first.
import type { Clock, OrganizationId, ProfileId } from "@muster/core";
import type { Database, Queryable } from "@muster/db";
import { type ProfileKey, profileKeyText } from "../profiles/profile-key.ts";
import { listProfileRebuilds, nextOrganizationToRebuild } from "../profiles/rebuild-store.ts";
import {
  type Backfill,
  listBackfillsOfShards,
  listOldestBackfills,
  nextOrganizationToBackfill,
} from "./backfill-store.ts";

/** One chunk of one shard. */
export interface RebuildTask {
  readonly organizationId: OrganizationId;
  readonly shard: number;
  /** A range of profiles by id (a backfill), or single profiles (rebuilds). */
  readonly profiles:
    | { readonly after: ProfileId; readonly limit: number }
    | { readonly ids: readonly ProfileId[] };
  /**
   * The unfinished backfills of this organization and shard at the time of planning; empty for single
   * profiles.
   */
  readonly backfills: readonly Backfill[];
}

/** The tasks of a step, all of one organization and each of another shard. */
export interface RebuildPlan {
  /** Empty when no work can start now. */
  readonly tasks: readonly RebuildTask[];
  /** When postponed work can start, in epoch milliseconds; Infinity without postponed work. */
  readonly nextMs: number;
}

/** Tasks that run beside the steps, and are not planned meanwhile. */
export interface BusyTasks {
  readonly size: number;
  hasProfile(key: ProfileKey): boolean;
  /** Whether a chunk of the organization's backfills in the shard runs. */
  hasBackfill(organizationId: OrganizationId, shard: number): boolean;
}

const NOTHING_BUSY: BusyTasks = { size: 0, hasProfile: () => false, hasBackfill: () => false };

type Kind = "rebuilds" | "backfills";

/**
 * Shards scanned in parallel. The number is small so that a large backfill makes visible progress shard by
 * shard.
 */
const SHARDS_AT_ONCE = 4;
/** Target duration of a step. Messages wait meanwhile, but each step costs a commit and a round of scans. */
const STEP_MS = 100;
/** Target duration of the write transaction of a step, because other writers of SQLite wait meanwhile. */
const WRITE_MS = 50;

/** The durations of a step and of its write transaction. */
export interface StepTimes {
  readonly stepMs: number;
  readonly writeMs: number;
}

/** Adapts the number of profiles in a step to the durations of earlier steps. */
export class ChunkSize {
  readonly #max: number;
  #profiles = 200;

  constructor(max: number) {
    this.#max = max;
  }

  get profiles(): number {
    return this.#profiles;
  }

  adjust({ stepMs, writeMs }: StepTimes): void {
    const share = Math.max(stepMs / STEP_MS, writeMs / WRITE_MS);
    const factor = share < 0.5 ? 2 : share > 1.5 ? 0.5 : 1;
    this.#profiles = Math.min(this.#max, Math.max(1, Math.round(this.#profiles * factor)));
  }
}

/** Turns of one kind of work. */
interface Turns {
  readonly size: ChunkSize;
  readonly nextOrganization: (
    db: Queryable,
    shards: readonly number[],
    after: OrganizationId | undefined,
  ) => Promise<OrganizationId | undefined>;
  readonly tasksOf: (organizationId: OrganizationId, shards: readonly number[]) => Promise<RebuildTask[]>;
  lastOrganizationId: OrganizationId | undefined;
}

/** Keeps the turns and the chunk sizes between steps, in memory. */
export class RebuildPlanner {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #turns: Record<Kind, Turns>;
  /** By organization, the mark that was read last. */
  readonly #lastMarks = new Map<OrganizationId, ProfileKey>();
  /** By profile, when its next rebuild may start. */
  readonly #postponed = new Map<string, number>();
  readonly #busy: BusyTasks;
  #lastKind: Kind = "backfills";

  constructor(database: Database, clock: Clock, busy = NOTHING_BUSY) {
    this.#database = database;
    this.#clock = clock;
    this.#busy = busy;
    const common = { lastOrganizationId: undefined };
    this.#turns = {
      rebuilds: {
        ...common,
        size: new ChunkSize(200),
        nextOrganization: nextOrganizationToRebuild,
        tasksOf: (organizationId, shards) => this.#rebuildTasks(organizationId, shards),
      },
      backfills: {
        ...common,
        size: new ChunkSize(1000),
        nextOrganization: nextOrganizationToBackfill,
        tasksOf: (organizationId, shards) => this.#backfillTasks(organizationId, shards),
      },
    };
  }

  async next(shards: readonly number[]): Promise<RebuildPlan> {
    this.#endPostponements();
    const kinds: Kind[] =
      this.#lastKind === "rebuilds" ? ["backfills", "rebuilds"] : ["rebuilds", "backfills"];
    for (const kind of kinds) {
      const tasks = await this.#tasksInTurn(this.#turns[kind], shards);
      if (tasks.length === 0) continue;
      this.#lastKind = kind;
      return { tasks, nextMs: 0 };
    }
    return { tasks: [], nextMs: Math.min(...this.#postponed.values()) };
  }

  /** Adapts the chunk size to the durations of a step; Infinity means that the step failed. */
  adjustChunkSize(times: StepTimes): void {
    this.#turns[this.#lastKind].size.adjust(times);
  }

  /** Later marks of the profile share a rebuild, which starts at the given time. */
  postpone({ organizationId, profileId }: ProfileKey, untilMs: number): void {
    this.#postponed.set(profileKeyText(organizationId, profileId), untilMs);
  }

  #endPostponements(): void {
    const nowMs = this.#clock.nowMs();
    for (const [key, untilMs] of this.#postponed) if (untilMs <= nowMs) this.#postponed.delete(key);
  }

  /** Tries each organization with work once, beginning after the organization that was served last. */
  async #tasksInTurn(turns: Turns, shards: readonly number[]): Promise<RebuildTask[]> {
    const db = this.#database.reader;
    const start = turns.lastOrganizationId;
    let after = start;
    let hasWrapped = start === undefined;
    for (;;) {
      const organizationId = await turns.nextOrganization(db, shards, after);
      if (organizationId !== undefined && !(hasWrapped && start !== undefined && organizationId > start)) {
        const tasks = await turns.tasksOf(organizationId, shards);
        if (tasks.length > 0) {
          turns.lastOrganizationId = organizationId;
          return tasks;
        }
        after = organizationId;
      } else if (hasWrapped) return [];
      else {
        after = undefined;
        hasWrapped = true;
      }
    }
  }

  /** Marked profiles, beginning after the mark that was read last. */
  async #rebuildTasks(organizationId: OrganizationId, shards: readonly number[]): Promise<RebuildTask[]> {
    const db = this.#database.reader;
    const limit = this.#turns.rebuilds.size.profiles;
    const last = this.#lastMarks.get(organizationId);
    const list = async (after: ProfileKey | undefined) => {
      const found = await listProfileRebuilds(
        db,
        organizationId,
        shards,
        after,
        limit + this.#postponed.size + this.#busy.size,
      );
      return found.filter(
        (key) =>
          !this.#postponed.has(profileKeyText(organizationId, key.profileId)) && !this.#busy.hasProfile(key),
      );
    };
    let marks = await list(last);
    if (marks.length === 0 && last !== undefined) marks = await list(undefined);
    const chosen = marks.slice(0, limit);
    const end = chosen.at(-1);
    if (end === undefined || marks.length < limit) this.#lastMarks.delete(organizationId);
    else this.#lastMarks.set(organizationId, end);
    return [...Map.groupBy(chosen, ({ shard }) => shard)].map(([shard, keys]) => ({
      organizationId,
      shard,
      profiles: { ids: keys.map(({ profileId }) => profileId) },
      backfills: [],
    }));
  }

  /**
   * The shards with the oldest unfinished evaluations. Evaluation ids are ordered by time, so evaluations complete
   * in the order in which they were saved. A newer evaluation advances along where its cursor is in the chunk.
   */
  async #backfillTasks(organizationId: OrganizationId, shards: readonly number[]): Promise<RebuildTask[]> {
    const db = this.#database.reader;
    const free = shards.filter((shard) => !this.#busy.hasBackfill(organizationId, shard));
    const oldest = await listOldestBackfills(db, organizationId, free);
    oldest.sort((a, b) => (a.evaluationId === b.evaluationId ? 0 : a.evaluationId < b.evaluationId ? -1 : 1));
    const now = oldest.slice(0, SHARDS_AT_ONCE).map(({ shard }) => shard);
    const byShard = Map.groupBy(await listBackfillsOfShards(db, organizationId, now), ({ shard }) => shard);
    const tasks: RebuildTask[] = [];
    for (const [shard, backfills] of byShard) {
      // The oldest evaluation sets the range; other backfills with cursors inside the range advance with it.
      const [leader] = backfills;
      if (leader === undefined) continue;
      const profiles = { after: leader.afterProfileId, limit: this.#turns.backfills.size.profiles };
      tasks.push({ organizationId, shard, profiles, backfills });
    }
    return tasks;
  }
}
