// Stores profile states: every statement against `profile_states`.

import { bytesToUuid, chunksOf, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { IN_LIST_VALUES_MAX, insertRows, type Queryable, type Transaction } from "@muster/db";
import type { ProfileState } from "../engine/state/profile-state.ts";
import { decodeState, encodeState } from "../engine/state/state-codec.ts";
import { type ProfileKey, profileKeyText } from "./profile-key.ts";

/** A profile's state and its due time in epoch milliseconds. */
export interface StoredProfile extends ProfileKey {
  readonly state: ProfileState;
  readonly nextDueMs: number | undefined;
  /** The encoded state, if it is known before the transaction. */
  readonly encoded?: string;
}

/** A profile's state as stored. Equal rows hold equal states. */
export interface EncodedProfile extends ProfileKey {
  readonly encoded: string;
  readonly nextDueMs: number | undefined;
}

interface Row {
  organization_id: Buffer;
  shard: number;
  profile_id: Buffer;
  next_due_at: number | null;
  state: string;
}

const COLUMNS = ["organization_id", "shard", "profile_id", "next_due_at", "state"] as const;
const KEY = ["organization_id", "shard", "profile_id"] as const;
/** Ids in a delete. With more than a few hundred, MySQL's planner walks the table instead of the key. */
const DELETE_CHUNK = 250;

/** Stored states of these profiles, by {@link profileKeyText}. The keys are sorted. */
export async function loadStates(
  db: Queryable,
  keys: readonly ProfileKey[],
): Promise<Map<string, StoredProfile>> {
  const found = new Map<string, StoredProfile>();
  for (const [key, encoded] of await loadEncodedStates(db, keys)) found.set(key, decodeProfile(encoded));
  return found;
}

/** Like {@link loadStates}, without decoding. */
export async function loadEncodedStates(
  db: Queryable,
  keys: readonly ProfileKey[],
): Promise<Map<string, EncodedProfile>> {
  const found = new Map<string, EncodedProfile>();
  for (const chunk of chunksOf(keys, IN_LIST_VALUES_MAX)) {
    const runs = runsOf(chunk);
    const rows = await db("profile_states")
      .select<Row[]>(COLUMNS)
      .where((anyOf) => {
        for (const { organizationId, shard, profileIds } of runs) {
          anyOf.orWhere((run) =>
            run
              .where({ organization_id: uuidToBytes(organizationId), shard })
              .whereIn("profile_id", profileIds.map(uuidToBytes)),
          );
        }
      });
    for (const row of rows) {
      const stored = encodedOf(row);
      found.set(profileKeyText(stored.organizationId, stored.profileId), stored);
    }
  }
  return found;
}

export function decodeProfile({ encoded, ...rest }: EncodedProfile): StoredProfile {
  return { ...rest, state: decodeState(encoded) };
}

/** The profiles are sorted and unique. */
export async function saveStates(trx: Transaction, profiles: readonly StoredProfile[]): Promise<void> {
  const rows = profiles.map(({ organizationId, shard, profileId, nextDueMs, state, encoded }) => [
    uuidToBytes(organizationId),
    shard,
    uuidToBytes(profileId),
    nextDueMs ?? null,
    encoded ?? encodeState(state),
  ]);
  await insertRows(trx, "profile_states", COLUMNS, rows, { overwrite: ["next_due_at", "state"] }, KEY);
}

/** The shard's profiles that are due at `nowMs`, soonest first. Reads only the index, in its order. */
export async function listDueProfiles(
  db: Queryable,
  shard: number,
  nowMs: number,
  limit: number,
): Promise<ProfileKey[]> {
  const rows = await db("profile_states")
    .select<Pick<Row, "organization_id" | "shard" | "profile_id">[]>("organization_id", "shard", "profile_id")
    .where("shard", shard)
    .andWhere("next_due_at", "<=", nowMs)
    .orderBy("next_due_at")
    .limit(limit);
  return rows.map(keyOf);
}

/**
 * The due time of each shard's first profile; shards without due profiles are missing. Costs an index lookup
 * for each shard.
 */
export async function readNextDueTimes(
  db: Queryable,
  shards: readonly number[],
): Promise<Map<number, number>> {
  if (shards.length === 0) return new Map();
  const lookups = shards.map((shard) =>
    db("profile_states").min("next_due_at").where("shard", shard).as(`due_${shard}`),
  );
  const [row]: Record<string, number | null>[] = await db.select(lookups);
  const dueTimes = new Map<number, number>();
  for (const shard of shards) {
    const dueMs = row?.[`due_${shard}`];
    if (typeof dueMs === "number") dueTimes.set(shard, dueMs);
  }
  return dueTimes;
}

/** Whether any profile of the organization in these shards is due at `nowMs`. */
export async function hasDueProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  shards: readonly number[],
  nowMs: number,
): Promise<boolean> {
  const row = await db("profile_states")
    .whereIn("shard", [...shards])
    .andWhere("next_due_at", "<=", nowMs)
    .andWhere("organization_id", uuidToBytes(organizationId))
    .first<{ shard: number } | undefined>("shard");
  return row !== undefined;
}

/** Profiles of a shard of an organization, in order of id. */
export async function listStates(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
  afterProfileId: ProfileId,
  limit: number,
): Promise<StoredProfile[]> {
  const rows = await db("profile_states")
    .select<Row[]>(COLUMNS)
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .andWhere("profile_id", ">", uuidToBytes(afterProfileId))
    .orderBy("profile_id")
    .limit(limit);
  return rows.map(fromRow);
}

/** Ids of a shard's stored profiles, after the first given id and, if given, up to the second. */
export async function listStateIds(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
  after: ProfileId,
  through: ProfileId | undefined,
): Promise<ProfileId[]> {
  const query = db("profile_states")
    .select<{ profile_id: Buffer }[]>("profile_id")
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .andWhere("profile_id", ">", uuidToBytes(after))
    .orderBy("profile_id");
  if (through !== undefined) query.andWhere("profile_id", "<=", uuidToBytes(through));
  return (await query).map((row) => bytesToUuid<ProfileId>(row.profile_id));
}

/** The profiles are of the same shard. Returns the number of deleted rows. */
export async function deleteStates(
  trx: Transaction,
  organizationId: OrganizationId,
  shard: number,
  profileIds: readonly ProfileId[],
): Promise<number> {
  let deleted = 0;
  for (const chunk of chunksOf(profileIds, DELETE_CHUNK)) {
    deleted += await trx("profile_states")
      .where({ organization_id: uuidToBytes(organizationId), shard })
      .whereIn("profile_id", chunk.map(uuidToBytes))
      .delete();
  }
  return deleted;
}

interface Run {
  readonly organizationId: OrganizationId;
  readonly shard: number;
  readonly profileIds: ProfileId[];
}

function runsOf(keys: readonly ProfileKey[]): Run[] {
  const runs: Run[] = [];
  for (const { organizationId, shard, profileId } of keys) {
    const last = runs.at(-1);
    if (last?.organizationId === organizationId && last.shard === shard) last.profileIds.push(profileId);
    else runs.push({ organizationId, shard, profileIds: [profileId] });
  }
  return runs;
}

function fromRow(row: Row): StoredProfile {
  return decodeProfile(encodedOf(row));
}

function encodedOf(row: Row): EncodedProfile {
  return { ...keyOf(row), nextDueMs: row.next_due_at ?? undefined, encoded: row.state };
}

function keyOf(row: Pick<Row, "organization_id" | "shard" | "profile_id">): ProfileKey {
  return {
    organizationId: bytesToUuid(row.organization_id),
    shard: row.shard,
    profileId: bytesToUuid(row.profile_id),
  };
}
