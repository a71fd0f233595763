// Reads and writes rows of `profiles`. The identity graph has its own store for the link columns.
import {
  bytesToUuid,
  chunksOf,
  type OrganizationId,
  type ProfileId,
  shardOf,
  uuidToBytes,
} from "@muster/core";
import {
  forUpdate,
  IN_LIST_VALUES_MAX,
  insertRows,
  type Queryable,
  type Transaction,
  type Value,
} from "@muster/db";
import { compareRows } from "./compare-rows.ts";
import { insertIdentities } from "./identity-store.ts";
import {
  type IdentityKind,
  identitiesOf,
  type MergedInto,
  type Profile,
  type StoredProfile,
} from "./profile.ts";

const PROFILE_COLUMNS = [
  "organization_id",
  "profile_id",
  "shard",
  "user_id",
  "anonymous_id",
  "email",
  "name",
  "traits",
  "create_ms",
  "update_ms",
] as const;
const LINK_COLUMNS = ["parent_id", "root_id", "merged_ms", "overridden_at"] as const;

interface ProfileRow {
  readonly organization_id: Buffer;
  readonly profile_id: Buffer;
  readonly user_id: Buffer | null;
  readonly anonymous_id: Buffer | null;
  readonly email: Buffer | null;
  readonly name: Buffer | null;
  readonly traits: string;
  readonly create_ms: number;
  readonly update_ms: number;
  readonly parent_id: Buffer | null;
  readonly root_id: Buffer | null;
  readonly merged_ms: number | null;
  readonly overridden_at: string | null;
}

/** Returns the stored profile, without the fields of merged profiles. */
export async function getProfile(
  db: Queryable,
  organizationId: OrganizationId,
  profileId: ProfileId,
): Promise<StoredProfile | undefined> {
  const rows = await selectProfiles(db, organizationId).where("profile_id", uuidToBytes(profileId)).limit(1);
  return rows[0] && fromRow(rows[0]);
}

/** Locks the existing profiles in id order until the transaction ends. */
export async function lockProfiles(
  trx: Transaction,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
): Promise<StoredProfile[]> {
  const query = selectProfiles(trx, organizationId)
    .whereIn("profile_id", [...profileIds].sort().map(uuidToBytes))
    .orderBy("profile_id");
  return (await forUpdate(trx, query)).map(fromRow);
}

/** Lists root profiles, oldest first: ids are UUIDv7 of the creation time. */
export async function listProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  after: ProfileId | undefined,
  limit: number,
): Promise<StoredProfile[]> {
  const query = selectProfiles(db, organizationId).whereNull("root_id").orderBy("profile_id").limit(limit);
  if (after !== undefined) query.where("profile_id", ">", uuidToBytes(after));
  return (await query).map(fromRow);
}

/** Lists root profiles of one shard, by id. */
export async function listShardProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
  after: Uint8Array | undefined,
  limit: number,
): Promise<StoredProfile[]> {
  const query = selectProfiles(db, organizationId)
    .whereNull("root_id")
    .where("shard", shard)
    .orderBy("profile_id")
    .limit(limit);
  if (after !== undefined) query.where("profile_id", ">", Buffer.from(after));
  return (await query).map(fromRow);
}

/** Returns the number of the organization's root profiles. */
export async function countProfiles(db: Queryable, organizationId: OrganizationId): Promise<number> {
  const [row] = await db("profiles")
    .where("organization_id", uuidToBytes(organizationId))
    .whereNull("root_id")
    .count<{ profiles: number | string }[]>({ profiles: "*" });
  return Number(row?.profiles ?? 0);
}

/** Lists the ids of root profiles of a shard after an id, ordered: one index scan. */
export async function listShardProfileIds(
  db: Queryable,
  organizationId: OrganizationId,
  {
    shard,
    after,
    limit,
  }: { readonly shard: number; readonly after?: Buffer | undefined; readonly limit: number },
): Promise<Buffer[]> {
  const query = db("profiles")
    .select<{ profile_id: Buffer }[]>("profile_id")
    .where("organization_id", uuidToBytes(organizationId))
    .whereNull("root_id")
    .where("shard", shard)
    .orderBy("profile_id")
    .limit(limit);
  if (after !== undefined) query.where("profile_id", ">", after);
  return (await query).map((row) => row.profile_id);
}

/** Deletes profiles. */
export async function deleteProfiles(
  trx: Transaction,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
): Promise<void> {
  for (const ids of chunksOf([...profileIds].sort(), IN_LIST_VALUES_MAX)) {
    await trx("profiles")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("profile_id", ids.map(uuidToBytes))
      .delete();
  }
}

/** Returns the existing profiles, ordered by id. */
export async function getProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  profileIds: readonly Uint8Array[],
): Promise<StoredProfile[]> {
  const ids = profileIds.map((id) => Buffer.from(id));
  return (await selectProfiles(db, organizationId).whereIn("profile_id", ids).orderBy("profile_id")).map(
    fromRow,
  );
}

/** Returns the profiles that were merged into these roots. */
export async function listMerged(
  db: Queryable,
  organizationId: OrganizationId,
  rootIds: readonly ProfileId[],
): Promise<StoredProfile[]> {
  return (await selectProfiles(db, organizationId).whereIn("root_id", rootIds.map(uuidToBytes))).map(fromRow);
}

/** Inserts profiles with their identities. A taken identity rejects with the unique violation. */
export async function insertProfiles(trx: Transaction, profiles: readonly Profile[]): Promise<void> {
  if (profiles.length === 0) return;
  const rows = profiles.map(toRow).sort(compareRows(2));
  await insertRows(trx, "profiles", PROFILE_COLUMNS, rows, "fail", ["organization_id", "profile_id"]);
  await insertIdentities(
    trx,
    profiles.flatMap((profile) => identitiesOf(profile).map((identity) => ({ profile, identity }))),
  );
}

/** Writes the changeable fields of a profile. */
export async function updateProfileRow(trx: Transaction, profile: StoredProfile): Promise<void> {
  await trx("profiles")
    .where("organization_id", uuidToBytes(profile.organizationId))
    .where("profile_id", uuidToBytes(profile.id))
    .update({
      user_id: bytesOrNull(profile.userId),
      anonymous_id: bytesOrNull(profile.anonymousId),
      email: bytesOrNull(profile.email),
      name: bytesOrNull(profile.name),
      traits: profile.traits,
      overridden_at:
        Object.keys(profile.overriddenAt).length === 0 ? null : JSON.stringify(profile.overriddenAt),
      update_ms: profile.updateMs,
    });
}

/** Clears an identity column of a profile. */
export async function clearIdentityColumn(
  trx: Transaction,
  organizationId: OrganizationId,
  profileId: ProfileId,
  kind: IdentityKind,
): Promise<void> {
  await trx("profiles")
    .where("organization_id", uuidToBytes(organizationId))
    .where("profile_id", uuidToBytes(profileId))
    .update({ [kind]: null });
}

function selectProfiles(db: Queryable, organizationId: OrganizationId) {
  return db("profiles")
    .select<ProfileRow[]>([...PROFILE_COLUMNS, ...LINK_COLUMNS])
    .where("organization_id", uuidToBytes(organizationId));
}

function toRow(profile: Profile): Value[] {
  return [
    uuidToBytes(profile.organizationId),
    uuidToBytes(profile.id),
    shardOf(profile.organizationId, profile.id),
    bytesOrNull(profile.userId),
    bytesOrNull(profile.anonymousId),
    bytesOrNull(profile.email),
    bytesOrNull(profile.name),
    profile.traits,
    profile.createMs,
    profile.updateMs,
  ];
}

function fromRow(row: ProfileRow): StoredProfile {
  return {
    organizationId: bytesToUuid<OrganizationId>(row.organization_id),
    id: bytesToUuid<ProfileId>(row.profile_id),
    userId: row.user_id?.toString(),
    anonymousId: row.anonymous_id?.toString(),
    email: row.email?.toString(),
    name: row.name?.toString(),
    traits: row.traits,
    createMs: Number(row.create_ms),
    updateMs: Number(row.update_ms),
    mergedInto: mergedIntoOf(row),
    overriddenAt:
      row.overridden_at === null ? {} : (JSON.parse(row.overridden_at) as StoredProfile["overriddenAt"]),
  };
}

function mergedIntoOf({ parent_id, root_id, merged_ms }: ProfileRow): MergedInto | undefined {
  if (parent_id === null || root_id === null) return undefined;
  return {
    parentId: bytesToUuid<ProfileId>(parent_id),
    rootId: bytesToUuid<ProfileId>(root_id),
    atMs: Number(merged_ms),
  };
}

function bytesOrNull(text: string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text);
}
