// Holds every statement against `profile_merges`, the journal of merges and undone merges.
import { bytesToUuid, chunksOf, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { IN_LIST_VALUES_MAX, insertRows, type Queryable, type Transaction } from "@muster/db";

const MERGE_COLUMNS = [
  "organization_id",
  "profile_id",
  "merge_id",
  "into_profile_id",
  "actor",
  "merged_ms",
] as const;

/** A journal entry of a merge. */
export interface MergeRecord {
  readonly organizationId: OrganizationId;
  /** UUIDv7. */
  readonly id: string;
  readonly profileId: ProfileId;
  readonly intoId: ProfileId;
  /** Kind and id of the credential. */
  readonly actor: string;
  readonly mergedMs: number;
}

/** Adds a merge to the journal. */
export async function insertMerge(trx: Transaction, merge: MergeRecord): Promise<void> {
  const row = [
    uuidToBytes(merge.organizationId),
    uuidToBytes(merge.profileId),
    uuidToBytes(merge.id),
    uuidToBytes(merge.intoId),
    Buffer.from(merge.actor),
    merge.mergedMs,
  ];
  const key = ["organization_id", "profile_id", "merge_id"];
  await insertRows(trx, "profile_merges", MERGE_COLUMNS, [row], "fail", key);
}

/** Records the actor and the time of undoing in the profile's open merge. */
export async function markMergeUndone(
  trx: Transaction,
  organizationId: OrganizationId,
  profileId: ProfileId,
  undone: { readonly actor: string; readonly atMs: number },
): Promise<void> {
  await trx("profile_merges")
    .where("organization_id", uuidToBytes(organizationId))
    .where("profile_id", uuidToBytes(profileId))
    .whereNull("undone_ms")
    .update({ undone_ms: undone.atMs, undone_actor: Buffer.from(undone.actor) });
}

/** Returns all profiles into which a profile itself was ever merged, undone merges included. */
export async function listDirectMergeTargets(
  db: Queryable,
  organizationId: OrganizationId,
  profileId: ProfileId,
): Promise<Set<ProfileId>> {
  const rows: { into_profile_id: Buffer }[] = await db("profile_merges")
    .distinct("into_profile_id")
    .where("organization_id", uuidToBytes(organizationId))
    .where("profile_id", uuidToBytes(profileId));
  return new Set(rows.map((row) => bytesToUuid<ProfileId>(row.into_profile_id)));
}

/**
 * Returns the merge targets of profiles: all profiles into which they were ever merged, over any number of
 * merges, including undone merges. The given profiles are omitted.
 */
export async function listMergeTargets(
  db: Queryable,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
): Promise<ProfileId[]> {
  const reached = new Set(profileIds);
  let next: ProfileId[] = [...profileIds];
  while (next.length > 0) {
    const found: ProfileId[] = [];
    for (const ids of chunksOf(next, IN_LIST_VALUES_MAX)) {
      const rows: { into_profile_id: Buffer }[] = await db("profile_merges")
        .select("into_profile_id")
        .where("organization_id", uuidToBytes(organizationId))
        .whereIn("profile_id", ids.map(uuidToBytes));
      for (const row of rows) found.push(bytesToUuid<ProfileId>(row.into_profile_id));
    }
    next = [...new Set(found)].filter((id) => !reached.has(id));
    for (const id of next) reached.add(id);
  }
  return [...reached].slice(profileIds.length).sort();
}
