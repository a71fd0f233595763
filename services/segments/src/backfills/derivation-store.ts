// Stores marks of single profiles to rebuild from raw events: adds, reads and deletes rows of
// `profile_derivations`.
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { insertRows, type OnConflict, type Queryable, type Transaction } from "@muster/db";
import type { ProfileKey } from "./backfill-store.ts";
import { type DerivationReason, REASONS } from "./derivation-reason.ts";

/** The mark of one profile. */
export interface ProfileDerivation extends ProfileKey {
  readonly reason: DerivationReason;
}

interface Row {
  organization_id: Buffer;
  shard: number;
  profile_id: Buffer;
}

const KEY = ["organization_id", "shard", "profile_id"] as const;
const COLUMNS = [...KEY, "reason"] as const;

/** The keys are sorted and unique. A stale mark never replaces an existing mark; the other reasons do. */
export async function addProfileDerivations(
  trx: Transaction,
  keys: readonly (ProfileKey & Partial<ProfileDerivation>)[],
): Promise<void> {
  const add = async (marks: typeof keys, onConflict: OnConflict): Promise<void> => {
    const rows = marks.map(({ organizationId, shard, profileId, reason = "doubt" }) => [
      ...[uuidToBytes(organizationId), shard, uuidToBytes(profileId)],
      REASONS.indexOf(reason),
    ]);
    await insertRows(trx, "profile_derivations", COLUMNS, rows, onConflict, KEY);
  };
  const isDoubt = ({ reason = "doubt" }: Partial<ProfileDerivation>) => reason === "doubt";
  await add(keys.filter(isDoubt), "keep");
  await add(
    keys.filter((key) => !isDoubt(key)),
    { overwrite: ["reason"] },
  );
}

/** Up to `limit` marked profiles of the shards. */
export async function listProfileDerivations(
  db: Queryable,
  organizationId: OrganizationId,
  shards: readonly number[],
  limit: number,
): Promise<ProfileKey[]> {
  const rows = await db("profile_derivations")
    .select<Row[]>(KEY)
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("shard", [...shards])
    .limit(limit);
  return rows.map((row) => ({
    organizationId: bytesToUuid(row.organization_id),
    shard: row.shard,
    profileId: bytesToUuid(row.profile_id),
  }));
}

/** By profile; profiles without a mark are missing. */
export async function readDerivationReasons(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
  profileIds: readonly ProfileId[],
): Promise<Map<ProfileId, DerivationReason>> {
  const rows = await db("profile_derivations")
    .select<{ profile_id: Buffer; reason: number }[]>("profile_id", "reason")
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .whereIn("profile_id", profileIds.map(uuidToBytes));
  return new Map(rows.map((row) => [bytesToUuid(row.profile_id), REASONS[row.reason] ?? "doubt"]));
}

export async function hasProfileDerivations(db: Queryable, organizationId: OrganizationId): Promise<boolean> {
  const row = await db("profile_derivations")
    .where("organization_id", uuidToBytes(organizationId))
    .first<{ shard: number } | undefined>("shard");
  return row !== undefined;
}

/** The profiles are of the same organization and shard. */
export async function deleteProfileDerivations(
  trx: Transaction,
  organizationId: OrganizationId,
  shard: number,
  profileIds: readonly ProfileId[],
): Promise<void> {
  await trx("profile_derivations")
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .whereIn("profile_id", profileIds.map(uuidToBytes))
    .delete();
}
