// Converts memberships and their people to messages of the contract.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { roleToProto } from "@muster/authz";
import { type Member, MemberSchema, MemberStatus } from "@muster/contracts/muster/identity/v1/member_pb";
import type { User } from "../users/user.ts";
import type { Membership, MembershipStatus } from "./membership.ts";

const STATUSES: Readonly<Record<MembershipStatus, MemberStatus>> = {
  invited: MemberStatus.INVITED,
  active: MemberStatus.ACTIVE,
  suspended: MemberStatus.SUSPENDED,
};

/** An invited person is shown without the state of the account, because the account is not of this organization. */
export function memberToProto(
  membership: Membership,
  user: Pick<User, "id" | "email" | "isEmailVerified">,
): Member {
  const { name, role, status, invitedEmail, lastLoginTimeMs, loginCount, version } = membership;
  const member = create(MemberSchema, {
    id: user.id,
    email: invitedEmail ?? user.email,
    name,
    role: roleToProto(role),
    status: STATUSES[status],
    verified: status !== "invited" && user.isEmailVerified,
    loginCount: BigInt(loginCount),
    version: BigInt(version),
    createTime: timestampFromMs(membership.createTimeMs),
    updateTime: timestampFromMs(membership.updateTimeMs),
  });
  if (lastLoginTimeMs !== undefined) member.lastLoginAt = timestampFromMs(lastLoginTimeMs);
  return member;
}
