// Contains every statement against `invitations`.
import type { Role } from "@muster/authz";
import { bytesToUuid, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { forUpdate, type OrderColumn, pageAfter, type Queryable, type Transaction } from "@muster/db";
import type { Invitation, Inviter } from "./invitation.ts";

const COLUMNS = [
  "id",
  "organization_id",
  "user_id",
  "email",
  "email_key",
  "inviter_kind",
  "inviter_id",
  "token_hash",
  "create_time_ms",
  "expire_time_ms",
] as const;

const LIST_ORDER: readonly OrderColumn[] = [
  { column: "create_time_ms", direction: "asc" },
  { column: "id", direction: "asc" },
];

const EXPIRY_ORDER: readonly OrderColumn[] = [
  { column: "expire_time_ms", direction: "asc" },
  { column: "id", direction: "asc" },
];

interface Row {
  readonly id: Buffer;
  readonly organization_id: Buffer;
  readonly user_id: Buffer;
  readonly email: Buffer;
  readonly email_key: Buffer;
  readonly inviter_kind: Buffer;
  readonly inviter_id: Buffer;
  readonly token_hash: Buffer;
  readonly create_time_ms: number;
  readonly expire_time_ms: number;
}

/** Start of a page: the invitation before it, in the order of the list. */
export interface InvitationCursor {
  readonly createTimeMs: number;
  readonly id: string;
}

/** Rejects with a unique violation when the address or the member has an invitation to the organization. */
export async function insertInvitation(trx: Transaction, invitation: Invitation): Promise<void> {
  await trx("invitations").insert({
    id: uuidToBytes(invitation.id),
    organization_id: uuidToBytes(invitation.organizationId),
    user_id: uuidToBytes(invitation.userId),
    email: Buffer.from(invitation.email),
    email_key: Buffer.from(invitation.emailKey),
    create_time_ms: invitation.createTimeMs,
    ...changeableColumns(invitation),
  });
}

/** Saves the inviter, the token and the end of a locked invitation. */
export async function saveInvitation(trx: Transaction, invitation: Invitation): Promise<void> {
  await trx("invitations").where("id", uuidToBytes(invitation.id)).update(changeableColumns(invitation));
}

/** Expired or not; callers compare the time. */
export async function findInvitationByToken(
  queryable: Queryable,
  tokenHash: Buffer,
): Promise<Invitation | undefined> {
  const rows = await queryable("invitations").select<Row[]>(COLUMNS).where("token_hash", tokenHash);
  return rows.map(fromRow)[0];
}

/** Locked until the transaction ends. */
export async function lockInvitation(
  trx: Transaction,
  organizationId: OrganizationId,
  id: string,
): Promise<Invitation | undefined> {
  const query = trx("invitations")
    .select<Row[]>(COLUMNS)
    .where({ id: uuidToBytes(id), organization_id: uuidToBytes(organizationId) });
  return (await forUpdate(trx, query)).map(fromRow)[0];
}

export async function findInvitation(
  queryable: Queryable,
  organizationId: OrganizationId,
  id: string,
): Promise<Invitation | undefined> {
  const rows = await queryable("invitations")
    .select<Row[]>(COLUMNS)
    .where({ id: uuidToBytes(id), organization_id: uuidToBytes(organizationId) });
  return rows.map(fromRow)[0];
}

/** Nothing changes the invitation while the organization is locked. */
export async function findInvitationByEmail(
  queryable: Queryable,
  organizationId: OrganizationId,
  emailKey: string,
): Promise<Invitation | undefined> {
  const rows = await queryable("invitations")
    .select<Row[]>(COLUMNS)
    .where({ organization_id: uuidToBytes(organizationId), email_key: Buffer.from(emailKey) });
  return rows.map(fromRow)[0];
}

/** The invitations of an organization, by (create time, id). */
export async function listInvitationPage(
  queryable: Queryable,
  organizationId: OrganizationId,
  after: InvitationCursor | undefined,
  limit: number,
): Promise<Invitation[]> {
  const query = queryable("invitations")
    .select<Row[]>(COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .limit(limit);
  pageAfter(query, LIST_ORDER, after && [after.createTimeMs, uuidToBytes(after.id)]);
  return (await query).map(fromRow);
}

/** The invitations that a user or a key has made in an organization, by id. */
export async function listInvitationsBy(
  queryable: Queryable,
  organizationId: OrganizationId,
  inviter: Inviter,
  after: Pick<Invitation, "id"> | undefined,
  limit: number,
): Promise<Invitation[]> {
  const query = queryable("invitations")
    .select<Row[]>(COLUMNS)
    .where({ organization_id: uuidToBytes(organizationId), ...inviterColumns(inviter) })
    .limit(limit);
  pageAfter(query, [{ column: "id", direction: "asc" }], after && [uuidToBytes(after.id)]);
  return (await query).map(fromRow);
}

/** The invitation of a member, expired or not. */
export async function findInvitationOf(
  queryable: Queryable,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<Invitation | undefined> {
  const rows = await queryable("invitations").select<Row[]>(COLUMNS).where(memberOf(organizationId, userId));
  return rows.map(fromRow)[0];
}

/** At most `limit` invitations that expired before `beforeMs`, by (expire time, id). */
export async function listExpiredInvitations(
  queryable: Queryable,
  beforeMs: number,
  after: Pick<Invitation, "expireTimeMs" | "id"> | undefined,
  limit: number,
): Promise<Invitation[]> {
  const query = queryable("invitations")
    .select<Row[]>(COLUMNS)
    .where("expire_time_ms", "<", beforeMs)
    .limit(limit);
  pageAfter(query, EXPIRY_ORDER, after && [after.expireTimeMs, uuidToBytes(after.id)]);
  return (await query).map(fromRow);
}

export async function deleteInvitationOf(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<void> {
  await trx("invitations").where(memberOf(organizationId, userId)).delete();
}

/**
 * Ends the invitations that a user or a key has made in the organization, because the right is lost. After a demotion,
 * `lostRoles` are the roles that the inviter may no longer grant; without it, every invitation ends.
 */
export async function expireInvitationsOf(
  trx: Transaction,
  organizationId: OrganizationId,
  inviterId: string,
  lostRoles?: readonly Role[],
): Promise<void> {
  const query = trx("invitations").where({
    organization_id: uuidToBytes(organizationId),
    inviter_id: uuidToBytes(inviterId),
  });
  if (lostRoles !== undefined) {
    const invited = trx("memberships")
      .select("user_id")
      .where({ organization_id: uuidToBytes(organizationId), status: Buffer.from("invited") })
      .whereIn("role", lostRoles.map(Buffer.from));
    query.whereIn("user_id", invited);
  }
  await query.update({ expire_time_ms: trx.ref("create_time_ms") });
}

/** The inviter of a pending invitation becomes another. */
export async function setInviter(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
  inviter: Inviter,
): Promise<void> {
  await trx("invitations").where(memberOf(organizationId, userId)).update(inviterColumns(inviter));
}

function memberOf(organizationId: OrganizationId, userId: UserId) {
  return { organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) };
}

function changeableColumns({ inviter, tokenHash, expireTimeMs }: Invitation) {
  return { ...inviterColumns(inviter), token_hash: tokenHash, expire_time_ms: expireTimeMs };
}

function inviterColumns({ kind, id }: Inviter) {
  return { inviter_kind: Buffer.from(kind), inviter_id: uuidToBytes(id) };
}

function fromRow(row: Row): Invitation {
  return {
    id: bytesToUuid(row.id),
    organizationId: bytesToUuid(row.organization_id),
    userId: bytesToUuid(row.user_id),
    email: row.email.toString("utf8"),
    emailKey: row.email_key.toString("utf8"),
    inviter: {
      kind: row.inviter_kind.toString("utf8") as Inviter["kind"],
      id: bytesToUuid(row.inviter_id),
    },
    tokenHash: row.token_hash,
    createTimeMs: row.create_time_ms,
    expireTimeMs: row.expire_time_ms,
  };
}
