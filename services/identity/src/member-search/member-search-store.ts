// Contains every statement against `member_search_words`, and those against the keys of `memberships`.
import { type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction, type Value } from "@muster/db";

const TABLE = "member_search_words";
const COLUMNS = ["organization_id", "user_id", "word"];

/** A member as the organization reads it. */
export interface IndexedMember {
  readonly name: string;
  readonly email: string;
  readonly isVerified: boolean;
  /** The stored keys; undefined before the member is indexed. */
  readonly keys: MemberKeys | undefined;
}

export interface MemberKeys {
  readonly nameKey: string;
  readonly emailKey: string;
  readonly isVerified: boolean;
}

interface Row {
  readonly name: Buffer;
  readonly status: Buffer;
  readonly invited_email: Buffer | null;
  readonly email: Buffer;
  readonly email_verified: number;
  readonly name_key: Buffer | null;
  readonly email_key: Buffer | null;
  readonly verified: number | null;
}

export async function findIndexedMember(
  queryable: Queryable,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<IndexedMember | undefined> {
  const rows = await queryable("memberships")
    .join("users", "users.id", "memberships.user_id")
    .select<Row[]>(
      "memberships.name",
      "memberships.status",
      "memberships.invited_email",
      "users.email",
      "users.email_verified",
      "memberships.name_key",
      "memberships.email_key",
      "memberships.verified",
    )
    .where("memberships.organization_id", uuidToBytes(organizationId))
    .andWhere("memberships.user_id", uuidToBytes(userId));
  return rows.map((row) => ({
    name: row.name.toString("utf8"),
    email: (row.invited_email ?? row.email).toString("utf8"),
    isVerified: row.status.toString("utf8") !== "invited" && row.email_verified !== 0,
    keys: keysOf(row),
  }))[0];
}

function keysOf({ name_key, email_key, verified }: Row): MemberKeys | undefined {
  if (name_key === null || email_key === null || verified === null) return undefined;
  return {
    nameKey: name_key.toString("utf8"),
    emailKey: email_key.toString("utf8"),
    isVerified: verified !== 0,
  };
}

export async function saveMemberKeys(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
  { nameKey, emailKey, isVerified }: MemberKeys,
): Promise<void> {
  await trx("memberships")
    .where({ organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) })
    .update({
      name_key: Buffer.from(nameKey),
      email_key: Buffer.from(emailKey),
      verified: isVerified ? 1 : 0,
    });
}

export async function replaceSearchWords(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
  words: readonly string[],
): Promise<void> {
  await deleteSearchWords(trx, organizationId, userId);
  const [organization, user] = [uuidToBytes(organizationId), uuidToBytes(userId)];
  const rows = words.map((word) => Buffer.from(word)).sort(Buffer.compare);
  const values = rows.map((word): Value[] => [organization, user, word]);
  await insertRows(trx, TABLE, COLUMNS, values, "keep", COLUMNS);
}

export async function deleteSearchWords(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<void> {
  await trx(TABLE)
    .where({ organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) })
    .delete();
}

/** The organizations of a person with greater ids than `after`, by id. */
export async function listOrganizationsOfMember(
  queryable: Queryable,
  userId: UserId,
  after: Buffer | undefined,
  limit: number,
): Promise<Buffer[]> {
  const query = queryable("memberships")
    .select<{ organization_id: Buffer }[]>("organization_id")
    .where("user_id", uuidToBytes(userId))
    .orderBy("organization_id")
    .limit(limit);
  if (after !== undefined) query.andWhere("organization_id", ">", after);
  return (await query).map(({ organization_id }) => organization_id);
}
