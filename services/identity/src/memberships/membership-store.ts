// Contains every statement against `memberships`.
import type { Role } from "@muster/authz";
import { bytesToUuid, chunksOf, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import {
  forUpdate,
  IN_LIST_VALUES_MAX,
  type OrderColumn,
  pageAfter,
  type Queryable,
  type Transaction,
} from "@muster/db";
import { indexMember } from "../member-search/index-member.ts";
import { countMember } from "./member-count-store.ts";
import type { Membership, MembershipStatus } from "./membership.ts";

const COLUMNS = [
  "organization_id",
  "user_id",
  "name",
  "role",
  "status",
  "invited_email",
  "last_login_time_ms",
  "login_count",
  "version",
  "create_time_ms",
  "update_time_ms",
] as const;

const LIST_ORDER: readonly OrderColumn[] = [{ column: "organization_id", direction: "asc" }];

/** Memberships of one user that are read at once. */
const MEMBERSHIPS_OF_USER_MAX = 1_000;

interface Row {
  readonly organization_id: Buffer;
  readonly user_id: Buffer;
  readonly name: Buffer;
  readonly role: Buffer;
  readonly status: Buffer;
  readonly invited_email: Buffer | null;
  readonly last_login_time_ms: number | null;
  readonly login_count: number;
  readonly version: number;
  readonly create_time_ms: number;
  readonly update_time_ms: number;
}

/** Rejects with a unique violation when the user has a membership of the organization. */
export async function insertMembership(trx: Transaction, membership: Membership): Promise<void> {
  await trx("memberships").insert({
    ...keyOf(membership.organizationId, membership.userId),
    name: Buffer.from(membership.name),
    role: Buffer.from(membership.role),
    status: Buffer.from(membership.status),
    invited_email: invitedEmailColumn(membership),
    last_login_time_ms: membership.lastLoginTimeMs ?? null,
    login_count: membership.loginCount,
    version: membership.version,
    create_time_ms: membership.createTimeMs,
    update_time_ms: membership.updateTimeMs,
  });
  await countMember(trx, membership.organizationId, undefined, membership.status);
  await indexMember(trx, membership.organizationId, membership.userId);
}

/** Saves the changeable fields of a locked membership. */
export async function saveMembership(
  trx: Transaction,
  before: Membership,
  after: Pick<Membership, "name" | "role" | "status" | "version" | "updateTimeMs">,
): Promise<void> {
  const { organizationId, userId, status } = before;
  await trx("memberships")
    .where(keyOf(organizationId, userId))
    .update({
      name: Buffer.from(after.name),
      role: Buffer.from(after.role),
      status: Buffer.from(after.status),
      invited_email: invitedEmailColumn({ ...before, ...after }),
      version: after.version,
      update_time_ms: after.updateTimeMs,
    });
  await countMember(trx, organizationId, status, after.status);
  await indexMember(trx, organizationId, userId);
}

/** Deletes a locked membership. */
export async function deleteMembership(trx: Transaction, membership: Membership): Promise<void> {
  const { organizationId, userId, status } = membership;
  await trx("memberships").where(keyOf(organizationId, userId)).delete();
  await countMember(trx, organizationId, status, undefined);
  await indexMember(trx, organizationId, userId);
}

export async function findMembership(
  queryable: Queryable,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<Membership | undefined> {
  const rows = await queryable("memberships").select<Row[]>(COLUMNS).where(keyOf(organizationId, userId));
  return rows.map(fromRow)[0];
}

/** Locked until the transaction ends. */
export async function lockMembership(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<Membership | undefined> {
  const query = trx("memberships").select<Row[]>(COLUMNS).where(keyOf(organizationId, userId));
  return (await forUpdate(trx, query)).map(fromRow)[0];
}

/** The memberships of these users in an organization, in no order. */
export async function findMembershipsOf(
  queryable: Queryable,
  organizationId: OrganizationId,
  userIds: readonly UserId[],
): Promise<Membership[]> {
  const found: Membership[] = [];
  for (const chunk of chunksOf(userIds, IN_LIST_VALUES_MAX)) {
    const query = queryable("memberships")
      .select<Row[]>(COLUMNS)
      .whereIn("user_id", chunk.map(uuidToBytes))
      // As a range. For an equality MariaDB may read the whole organization, because it expects an average size.
      .andWhere("organization_id", ">=", uuidToBytes(organizationId))
      .andWhere("organization_id", "<=", uuidToBytes(organizationId));
    found.push(...(await query).map(fromRow));
  }
  return found;
}

/** Two memberships of a person at most, in no order. Locked until the transaction ends. */
export async function lockMembershipsOf(trx: Transaction, userId: UserId): Promise<Membership[]> {
  const query = trx("memberships").select<Row[]>(COLUMNS).where("user_id", uuidToBytes(userId)).limit(2);
  return (await forUpdate(trx, query)).map(fromRow);
}

/** The organizations in which a person is active, suspended or invited. */
export async function listOrganizationsOf(queryable: Queryable, userId: UserId): Promise<OrganizationId[]> {
  const ids = await queryable("memberships")
    .where("user_id", uuidToBytes(userId))
    .orderBy("organization_id")
    .pluck<Buffer[]>("organization_id");
  return ids.map((id) => bytesToUuid(id));
}

/** Whether the user has a membership, or had one before a removal. Without `invited`, invited memberships do not count. */
export async function hasMembership(
  trx: Transaction,
  userId: UserId,
  { invited }: { readonly invited: boolean },
): Promise<boolean> {
  const query = trx("memberships").select("user_id").where("user_id", uuidToBytes(userId)).limit(1);
  if (!invited) query.whereNot("status", Buffer.from("invited"));
  if ((await forUpdate(trx, query)).length > 0) return true;
  const removed = trx("removed_memberships").select("user_id").where("user_id", uuidToBytes(userId)).limit(1);
  return (await removed).length > 0;
}

/** The active memberships of a user, by organization. */
export async function listActiveMemberships(queryable: Queryable, userId: UserId): Promise<Membership[]> {
  const rows = await queryable("memberships")
    .select<Row[]>(COLUMNS)
    .where("user_id", uuidToBytes(userId))
    .andWhere("status", Buffer.from("active"))
    .whereExists(openOrganization(queryable))
    .orderBy("organization_id")
    .limit(MEMBERSHIPS_OF_USER_MAX);
  return rows.map(fromRow);
}

/** The active memberships of a user with greater organization ids than `after`, by organization. */
export async function listActiveMembershipPage(
  queryable: Queryable,
  userId: UserId,
  after: OrganizationId | undefined,
  limit: number,
): Promise<Membership[]> {
  const query = queryable("memberships")
    .select<Row[]>(COLUMNS)
    .where("user_id", uuidToBytes(userId))
    .andWhere("status", Buffer.from("active"))
    .whereExists(openOrganization(queryable))
    .limit(limit);
  pageAfter(query, LIST_ORDER, after && [uuidToBytes(after)]);
  return (await query).map(fromRow);
}

/**
 * Counts the organizations that a user owns, up to `limit`. Invitations do not count, because anybody can send them. The rows stay locked until the transaction ends, so that
 * the count includes the commits of other transactions.
 */
export async function countOwnedOrganizations(
  trx: Transaction,
  userId: UserId,
  limit: number,
): Promise<number> {
  const query = trx("memberships")
    .select<Pick<Row, "organization_id">[]>("organization_id")
    .where("user_id", uuidToBytes(userId))
    .andWhere("role", Buffer.from("owner"))
    .andWhereNot("status", Buffer.from("invited"))
    .limit(limit);
  return (await forUpdate(trx, query)).length;
}

/** Whether another user than this one is an active owner. The caller has locked the organization. */
export function hasOtherOwner(
  queryable: Queryable,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<boolean> {
  return hasOwner(queryable, organizationId, userId);
}

/** Whether a user, `besides` this one, is an active owner. */
export async function hasOwner(
  queryable: Queryable,
  organizationId: OrganizationId,
  besides?: UserId,
): Promise<boolean> {
  const owners = queryable("memberships")
    .select("user_id")
    .where("organization_id", uuidToBytes(organizationId))
    .andWhere("role", Buffer.from("owner"))
    .andWhere("status", Buffer.from("active"));
  if (besides !== undefined) owners.andWhereNot("user_id", uuidToBytes(besides));
  return (await owners.first<Pick<Row, "user_id"> | undefined>()) !== undefined;
}

/** Counts a login; concurrent logins all count. */
export async function recordLogin(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
  nowMs: number,
): Promise<void> {
  await trx("memberships")
    .where(keyOf(organizationId, userId))
    .increment("login_count", 1)
    .update({ last_login_time_ms: nowMs });
}

/** Null once the person has joined. */
function invitedEmailColumn({ status, invitedEmail }: Pick<Membership, "status" | "invitedEmail">) {
  return status === "invited" && invitedEmail !== undefined ? Buffer.from(invitedEmail) : null;
}

/** Memberships of a closed organization stay for a while, without its row. */
function openOrganization(queryable: Queryable) {
  return queryable("organizations")
    .select("id")
    .where("id", queryable.raw("??", ["memberships.organization_id"]));
}

function keyOf(organizationId: OrganizationId, userId: UserId) {
  return { organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) };
}

function fromRow(row: Row): Membership {
  return {
    organizationId: bytesToUuid(row.organization_id),
    userId: bytesToUuid(row.user_id),
    name: row.name.toString("utf8"),
    role: row.role.toString("utf8") as Role,
    status: row.status.toString("utf8") as MembershipStatus,
    invitedEmail: row.invited_email?.toString("utf8"),
    lastLoginTimeMs: row.last_login_time_ms ?? undefined,
    loginCount: Number(row.login_count),
    version: Number(row.version),
    createTimeMs: row.create_time_ms,
    updateTimeMs: row.update_time_ms,
  };
}
