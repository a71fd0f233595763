// Reads the account of a user as a message of the contract.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Role } from "@muster/authz";
import { type Me, MeSchema, Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import type { Queryable } from "@muster/db";
import { listActiveMemberships } from "../memberships/membership-store.ts";
import { findOrganizations } from "../organizations/organization-store.ts";
import { findSecondFactor } from "../two-factor/second-factor.ts";
import type { User } from "../users/user.ts";

const ROLES: Readonly<Record<Role, RoleMessage>> = {
  owner: RoleMessage.OWNER,
  admin: RoleMessage.ADMIN,
  member: RoleMessage.MEMBER,
  auditor: RoleMessage.AUDITOR,
};

export async function readMe(queryable: Queryable, user: User, nowMs: number): Promise<Me> {
  const memberships = await listActiveMemberships(queryable, user.id);
  const organizations = await findOrganizations(
    queryable,
    memberships.map(({ organizationId }) => organizationId),
  );
  const names = new Map(organizations.map(({ id, name }) => [id, name]));
  const { factor, recoveryTimeMs } = await findSecondFactor(queryable, user, nowMs);
  const me = create(MeSchema, {
    id: user.id,
    email: user.email,
    emailVerified: user.isEmailVerified,
    name: user.name,
    locale: user.locale,
    twoFactorEnabled: factor !== undefined,
    organizations: memberships.flatMap(({ organizationId: id, role }) => {
      const name = names.get(id);
      return name === undefined ? [] : [{ id, name, role: ROLES[role] }];
    }),
    createTime: timestampFromMs(user.createTimeMs),
    updateTime: timestampFromMs(user.updateTimeMs),
  });
  if (recoveryTimeMs !== undefined) me.twoFactorRecoveryTime = timestampFromMs(recoveryTimeMs);
  return me;
}
