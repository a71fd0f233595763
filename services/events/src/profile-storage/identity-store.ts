// Holds every statement against `profile_identities`. Invariant: the table has exactly one row for each
// identity in `profiles`, with the root id of the profile.
import { bytesToUuid, chunksOf, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { IN_LIST_VALUES_MAX, insertRows, type Queryable, type Transaction, type Value } from "@muster/db";
import { compareRows } from "./compare-rows.ts";
import {
  type Identity,
  type IdentityKind,
  identitiesOf,
  identityKindNumbers,
  type Profile,
  type ProfileLink,
} from "./profile.ts";

const IDENTITY_COLUMNS = ["organization_id", "kind", "value", "profile_id"] as const;

/** Returns the owner of the identity, if any. */
export async function findOwner(
  db: Queryable,
  organizationId: OrganizationId,
  { kind, value }: Identity,
): Promise<ProfileLink | undefined> {
  return (await findOwners(db, organizationId, kind, [value])).get(value);
}

/** Returns the owners of the identities by value; identities without an owner are omitted. */
export async function findOwners(
  db: Queryable,
  organizationId: OrganizationId,
  kind: IdentityKind,
  values: readonly string[],
): Promise<Map<string, ProfileLink>> {
  const owners = new Map<string, ProfileLink>();
  for (const some of chunksOf(values, IN_LIST_VALUES_MAX)) {
    const rows = await db("profile_identities")
      .select<{ value: Buffer; profile_id: Buffer; root_id: Buffer | null }[]>(
        "value",
        "profile_id",
        "root_id",
      )
      .where("organization_id", uuidToBytes(organizationId))
      .where("kind", identityKindNumbers[kind])
      .whereIn(
        "value",
        some.map((value) => Buffer.from(value)),
      );
    for (const row of rows) {
      const profileId = bytesToUuid<ProfileId>(row.profile_id);
      const rootId = row.root_id === null ? profileId : bytesToUuid<ProfileId>(row.root_id);
      owners.set(row.value.toString(), { profileId, rootId });
    }
  }
  return owners;
}

/** Inserts identities of root profiles. A taken identity rejects with the unique violation. */
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
  rows.sort(compareRows(3));
  const key = ["organization_id", "kind", "value"];
  await insertRows(trx, "profile_identities", IDENTITY_COLUMNS, rows, "fail", key);
}

/** Deletes identities of a profile; identities of other profiles stay. */
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

/** Deletes all identities of the profiles; identities of other profiles stay. */
export async function deleteIdentitiesOf(
  trx: Transaction,
  organizationId: OrganizationId,
  profiles: readonly Profile[],
): Promise<void> {
  for (const some of chunksOf(profiles, IN_LIST_VALUES_MAX)) {
    const profileIds = some.map(({ id }) => uuidToBytes(id));
    const kinds = Map.groupBy(some.flatMap(identitiesOf), ({ kind }) => identityKindNumbers[kind]);
    for (const [kind, ofKind] of [...kinds].sort(([a], [b]) => a - b)) {
      await trx("profile_identities")
        .where("organization_id", uuidToBytes(organizationId))
        .where("kind", kind)
        .whereIn("value", ofKind.map(({ value }) => Buffer.from(value)).sort(Buffer.compare))
        .whereIn("profile_id", profileIds)
        .delete();
    }
  }
}

/** Moves an identity of a merged profile to the root profile. */
export async function moveIdentity(
  trx: Transaction,
  root: Profile,
  { kind, value }: Identity,
): Promise<void> {
  await trx("profile_identities")
    .where("organization_id", uuidToBytes(root.organizationId))
    .where("kind", identityKindNumbers[kind])
    .where("value", Buffer.from(value))
    .update({ profile_id: uuidToBytes(root.id), root_id: null });
}

/** Sets the root id of identities; undefined makes the identities' own profiles the roots. */
export async function updateIdentityRoots(
  trx: Transaction,
  organizationId: OrganizationId,
  identities: readonly Identity[],
  rootId: ProfileId | undefined,
): Promise<void> {
  const kinds = Map.groupBy(identities, ({ kind }) => identityKindNumbers[kind]);
  for (const [kind, ofKind] of [...kinds].sort(([a], [b]) => a - b)) {
    const values = ofKind.map(({ value }) => Buffer.from(value)).sort(Buffer.compare);
    for (const some of chunksOf(values, IN_LIST_VALUES_MAX)) {
      await trx("profile_identities")
        .where("organization_id", uuidToBytes(organizationId))
        .where("kind", kind)
        .whereIn("value", some)
        .update({ root_id: rootId === undefined ? null : uuidToBytes(rootId) });
    }
  }
}

/** A user id with the profile that has the id. */
export interface TrackedUser extends ProfileLink {
  readonly userId: string;
}

/** Lists up to `limit` users after the given user id, by the bytes of the ids. */
export async function listTrackedUsers(
  db: Queryable,
  organizationId: OrganizationId,
  after: string | undefined,
  limit: number,
): Promise<TrackedUser[]> {
  const query = db("profile_identities")
    .select<{ value: Buffer; profile_id: Buffer; root_id: Buffer | null }[]>("value", "profile_id", "root_id")
    .where("organization_id", uuidToBytes(organizationId))
    .where("kind", identityKindNumbers.user_id)
    .orderBy("value")
    .limit(limit);
  if (after !== undefined) query.where("value", ">", Buffer.from(after));
  return (await query).map((row) => {
    const profileId = bytesToUuid<ProfileId>(row.profile_id);
    const rootId = row.root_id === null ? profileId : bytesToUuid<ProfileId>(row.root_id);
    return { userId: row.value.toString(), profileId, rootId };
  });
}
