// Reads members with what a list includes about each.
import { create } from "@bufbuild/protobuf";
import { PERMISSIONS, permissionsOfRole, roleToProto } from "@muster/authz";
import {
  type Member,
  MemberOrganizationSchema,
  type MemberRole,
  MemberRoleSchema,
} from "@muster/contracts/muster/identity/v1/member_pb";
import type { OrganizationId, UserId } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { memberToProto } from "../memberships/member-proto.ts";
import type { Membership } from "../memberships/membership.ts";
import { findMembershipsOf } from "../memberships/membership-store.ts";
import { findOrganization } from "../organizations/organization-store.ts";
import { findUsers } from "../users/user-store.ts";
import type { Included } from "./member-selection.ts";

/** By id. A person without a membership of the organization is left out. */
export function readMembers(
  database: Database,
  organizationId: OrganizationId,
  ids: readonly UserId[],
  included: readonly Included[],
): Promise<ReadonlyMap<UserId, Member>> {
  return database.snapshot((trx) => readMembersIn(trx, organizationId, ids, included));
}

/** As readMembers, within a snapshot of the caller. */
export async function readMembersIn(
  trx: Transaction,
  organizationId: OrganizationId,
  ids: readonly UserId[],
  included: readonly Included[] = [],
): Promise<ReadonlyMap<UserId, Member>> {
  const memberships = await findMembershipsOf(trx, organizationId, ids);
  const users = new Map((await findUsers(trx, ids)).map((user) => [user.id, user]));
  const organization = included.includes("orgs") ? await findOrganization(trx, organizationId) : undefined;
  const members = new Map<UserId, Member>();
  for (const membership of memberships) {
    const user = users.get(membership.userId);
    if (user === undefined) continue;
    const member = memberToProto(membership, user);
    if (organization !== undefined) {
      member.orgs = [create(MemberOrganizationSchema, { id: organizationId, name: organization.name })];
    }
    if (included.includes("roles")) member.roles = [roleOf(membership)];
    members.set(user.id, member);
  }
  return members;
}

function roleOf({ organizationId, role }: Membership): MemberRole {
  const permissions = PERMISSIONS.filter((permission) => permissionsOfRole(role).has(permission));
  return create(MemberRoleSchema, { organizationId, role: roleToProto(role), permissions });
}
