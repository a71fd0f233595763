// Chooses which profiles to read next: marked profiles first, then backfills, with organizations in turn.
import type { OrganizationId, ProfileId } from "@muster/core";
import type { Database } from "@muster/db";
import { listProfileRebuilds, nextOrganizationToRebuild } from "../profiles/rebuild-store.ts";
import {
  type Backfill,
  listBackfillingShards,
  listBackfillsOfShards,
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

/**
 * Shards scanned in parallel. The number is small so that a large backfill makes visible progress shard by
 * shard.
 */
const SHARDS_AT_ONCE = 4;
/** Single profiles of one step, over all shards. */
const PROFILE_REBUILDS_MAX = 200;
const PROFILES_MIN = 1;
const PROFILES_MAX = 1000;
/** Target duration of a step. Messages wait meanwhile, but each step costs a commit and a round of scans. */
const STEP_MS = 100;

/** Keeps two things between steps: the organization served last, and the current chunk size. */
export class RebuildPlanner {
  readonly #database: Database;
  #lastOrganizationId: OrganizationId | undefined;
  #profilesPerShard = 200;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * The tasks of the next step: one organization, each task of another shard. Empty when no work is pending.
   */
  async next(shards: readonly number[]): Promise<RebuildTask[]> {
    return (await this.#profileTasks(shards)) ?? (await this.#backfillTasks(shards)) ?? [];
  }

  /** Adapts the chunk size to the duration of a step in milliseconds; Infinity means that the step failed. */
  adjustChunkSize(ms: number): void {
    const factor = ms < STEP_MS / 2 ? 2 : ms > STEP_MS * 1.5 ? 0.5 : 1;
    const next = Math.round(this.#profilesPerShard * factor);
    this.#profilesPerShard = Math.min(PROFILES_MAX, Math.max(PROFILES_MIN, next));
  }

  async #profileTasks(shards: readonly number[]): Promise<RebuildTask[] | undefined> {
    const db = this.#database.reader;
    const organizationId = await this.#nextOrganization((after) =>
      nextOrganizationToRebuild(db, shards, after),
    );
    if (organizationId === undefined) return undefined;
    const byShard = new Map<number, ProfileId[]>();
    for (const { shard, profileId } of await listProfileRebuilds(
      db,
      organizationId,
      shards,
      PROFILE_REBUILDS_MAX,
    )) {
      byShard.set(shard, [...(byShard.get(shard) ?? []), profileId]);
    }
    return [...byShard].map(([shard, ids]) => ({ organizationId, shard, profiles: { ids }, backfills: [] }));
  }

  async #backfillTasks(shards: readonly number[]): Promise<RebuildTask[] | undefined> {
    const db = this.#database.reader;
    const organizationId = await this.#nextOrganization((after) =>
      nextOrganizationToBackfill(db, shards, after),
    );
    if (organizationId === undefined) return undefined;
    const unfinished = await listBackfillingShards(db, organizationId, shards);
    const now = unfinished.slice(0, SHARDS_AT_ONCE);
    const byShard = Map.groupBy(await listBackfillsOfShards(db, organizationId, now), ({ shard }) => shard);
    const tasks: RebuildTask[] = [];
    for (const [shard, backfills] of byShard) {
      // The oldest segment sets the range; other backfills with cursors inside the range advance with it.
      const [leader] = backfills;
      if (leader === undefined) continue;
      const profiles = { after: leader.afterProfileId, limit: this.#profilesPerShard };
      tasks.push({ organizationId, shard, profiles, backfills });
    }
    return tasks;
  }

  async #nextOrganization(
    next: (after: OrganizationId | undefined) => Promise<OrganizationId | undefined>,
  ): Promise<OrganizationId | undefined> {
    const following =
      this.#lastOrganizationId === undefined ? undefined : await next(this.#lastOrganizationId);
    const chosen = following ?? (await next(undefined));
    if (chosen !== undefined) this.#lastOrganizationId = chosen;
    return chosen;
  }
}
