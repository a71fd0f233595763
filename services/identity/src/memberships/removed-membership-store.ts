// Contains every statement against `removed_memberships`: the last removed membership of each person.
import type { Role } from "@muster/authz";
import { bytesToUuid, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import type { Membership, MembershipStatus } from "./membership.ts";

const COLUMNS = [
  "organization_id",
  "user_id",
  "name",
  "role",
  "status",
  "last_login_time_ms",
  "login_count",
  "version",
  "create_time_ms",
  "update_time_ms",
] as const;

interface Row {
  readonly organization_id: Buffer;
  readonly user_id: Buffer;
  readonly name: Buffer;
  readonly role: Buffer;
  readonly status: Buffer;
  readonly last_login_time_ms: number | null;
  readonly login_count: number;
  readonly version: number;
  readonly create_time_ms: number;
  readonly update_time_ms: number;
}

/** Replaces the membership that was removed before. The caller has locked the organization. */
export async function saveRemovedMembership(
  trx: Transaction,
  membership: Membership,
  removeTimeMs: number,
): Promise<void> {
  const { organizationId, userId, name, role, status, lastLoginTimeMs } = membership;
  await deleteRemovedMembership(trx, organizationId, userId);
  await trx("removed_memberships").insert({
    ...keyOf(organizationId, userId),
    name: Buffer.from(name),
    role: Buffer.from(role),
    status: Buffer.from(status),
    last_login_time_ms: lastLoginTimeMs ?? null,
    login_count: membership.loginCount,
    version: membership.version,
    create_time_ms: membership.createTimeMs,
    update_time_ms: membership.updateTimeMs,
    remove_time_ms: removeTimeMs,
  });
}

export async function findRemovedMembership(
  queryable: Queryable,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<Membership | undefined> {
  const rows = await queryable("removed_memberships")
    .select<Row[]>(COLUMNS)
    .where(keyOf(organizationId, userId));
  return rows.map(fromRow)[0];
}

export async function deleteRemovedMembership(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<void> {
  await trx("removed_memberships").where(keyOf(organizationId, userId)).delete();
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
    lastLoginTimeMs: row.last_login_time_ms ?? undefined,
    loginCount: Number(row.login_count),
    version: Number(row.version),
    createTimeMs: row.create_time_ms,
    updateTimeMs: row.update_time_ms,
  };
}
