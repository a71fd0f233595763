// Every statement against `profiles` and `profile_identities`.
import { bytesToUuid, type OrganizationId, type ProfileId, shardOf, uuidToBytes } from "@muster/core";
import { forUpdate, insertRows, type Queryable, type Transaction, type Value } from "@muster/db";
import { type Identity, identitiesOf, identityKindNumbers, type Profile } from "./profile.ts";

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
const IDENTITY_COLUMNS = ["organization_id", "kind", "value", "profile_id"] as const;

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
}

export async function getProfile(
  db: Queryable,
  organizationId: OrganizationId,
  profileId: ProfileId,
): Promise<Profile | undefined> {
  const rows = await profilesOf(db, organizationId).where("profile_id", uuidToBytes(profileId)).limit(1);
  return rows[0] && fromRow(rows[0]);
}

/** The profile, locked until the transaction ends. */
export async function lockProfile(
  trx: Transaction,
  organizationId: OrganizationId,
  profileId: ProfileId,
): Promise<Profile | undefined> {
  const query = profilesOf(trx, organizationId).where("profile_id", uuidToBytes(profileId)).limit(1);
  const rows = await forUpdate(trx, query);
  return rows[0] && fromRow(rows[0]);
}

export async function hasProfile(
  db: Queryable,
  organizationId: OrganizationId,
  profileId: ProfileId,
): Promise<boolean> {
  const rows = await db("profiles")
    .select("shard")
    .where("organization_id", uuidToBytes(organizationId))
    .where("profile_id", uuidToBytes(profileId))
    .limit(1);
  return rows.length === 1;
}

/** Those that stand for a person, oldest first: ids are UUIDv7, made when the profile is. */
export async function listProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  after: ProfileId | undefined,
  limit: number,
): Promise<Profile[]> {
  const query = profilesOf(db, organizationId).whereNull("root_id").orderBy("profile_id").limit(limit);
  if (after !== undefined) query.where("profile_id", ">", uuidToBytes(after));
  return (await query).map(fromRow);
}

/** Those of one shard that stand for a person, by id. */
export async function listShardProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
  after: Uint8Array | undefined,
  limit: number,
): Promise<Profile[]> {
  const query = profilesOf(db, organizationId)
    .whereNull("root_id")
    .where("shard", shard)
    .orderBy("profile_id")
    .limit(limit);
  if (after !== undefined) query.where("profile_id", ">", Buffer.from(after));
  return (await query).map(fromRow);
}

/** Those of the profiles that exist, by id. */
export async function getProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  profileIds: readonly Uint8Array[],
): Promise<Profile[]> {
  const ids = profileIds.map((id) => Buffer.from(id));
  return (await profilesOf(db, organizationId).whereIn("profile_id", ids).orderBy("profile_id")).map(fromRow);
}

/** Whose the identity is, if anybody's. */
export async function findOwner(
  db: Queryable,
  organizationId: OrganizationId,
  { kind, value }: Identity,
): Promise<ProfileId | undefined> {
  const [row] = await db("profile_identities")
    .select<{ profile_id: Buffer }[]>("profile_id")
    .where("organization_id", uuidToBytes(organizationId))
    .where("kind", identityKindNumbers[kind])
    .where("value", Buffer.from(value))
    .limit(1);
  return row && bytesToUuid<ProfileId>(row.profile_id);
}

/** Adds profiles with their identities. A taken identity rejects with the unique violation. */
export async function insertProfiles(trx: Transaction, profiles: readonly Profile[]): Promise<void> {
  if (profiles.length === 0) return;
  const rows = profiles.map(toRow).sort(byKey(2));
  await insertRows(trx, "profiles", PROFILE_COLUMNS, rows, "fail", ["organization_id", "profile_id"]);
  await insertIdentities(
    trx,
    profiles.flatMap((profile) => identitiesOf(profile).map((identity) => ({ profile, identity }))),
  );
}

export async function insertIdentities(
  trx: Transaction,
  entries: readonly { readonly profile: Profile; readonly identity: Identity }[],
): Promise<void> {
  if (entries.length === 0) return;
  const rows = entries.map(({ profile, identity }): Value[] => [
    uuidToBytes(profile.organizationId),
    identityKindNumbers[identity.kind],
    Buffer.from(identity.value),
    uuidToBytes(profile.id),
  ]);
  rows.sort(byKey(3));
  const key = ["organization_id", "kind", "value"];
  await insertRows(trx, "profile_identities", IDENTITY_COLUMNS, rows, "fail", key);
}

export async function deleteIdentities(
  trx: Transaction,
  profile: Profile,
  identities: readonly Identity[],
): Promise<void> {
  for (const { kind, value } of identities) {
    await trx("profile_identities")
      .where("organization_id", uuidToBytes(profile.organizationId))
      .where("kind", identityKindNumbers[kind])
      .where("value", Buffer.from(value))
      .where("profile_id", uuidToBytes(profile.id))
      .delete();
  }
}

export async function updateProfileRow(trx: Transaction, profile: Profile): Promise<void> {
  await trx("profiles")
    .where("organization_id", uuidToBytes(profile.organizationId))
    .where("profile_id", uuidToBytes(profile.id))
    .update({
      user_id: bytesOrNull(profile.userId),
      anonymous_id: bytesOrNull(profile.anonymousId),
      email: bytesOrNull(profile.email),
      name: bytesOrNull(profile.name),
      traits: profile.traits,
      update_ms: profile.updateMs,
    });
}

function profilesOf(db: Queryable, organizationId: OrganizationId) {
  return db("profiles")
    .select<ProfileRow[]>(PROFILE_COLUMNS)
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

function fromRow(row: ProfileRow): Profile {
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
  };
}

/** Orders rows by their first columns, the key's: two batches then never wait for each other in a ring. */
function byKey(columnCount: number) {
  return (a: readonly Value[], b: readonly Value[]): number => {
    for (let column = 0; column < columnCount; column += 1) {
      const left = a[column];
      const right = b[column];
      const order =
        left instanceof Buffer && right instanceof Buffer
          ? Buffer.compare(left, right)
          : Number(left) - Number(right);
      if (order !== 0) return order;
    }
    return 0;
  };
}

function bytesOrNull(text: string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text);
}
