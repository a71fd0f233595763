// Translates roles between the code and messages.
import { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import type { Role } from "./role.ts";

const MESSAGES: Readonly<Record<Role, RoleMessage>> = {
  owner: RoleMessage.OWNER,
  admin: RoleMessage.ADMIN,
  member: RoleMessage.MEMBER,
  auditor: RoleMessage.AUDITOR,
};
const ROLES_BY_MESSAGE = new Map(Object.entries(MESSAGES).map(([role, message]) => [message, role as Role]));

/** Unspecified for no role. */
export function roleToProto(role: Role | undefined): RoleMessage {
  return role === undefined ? RoleMessage.UNSPECIFIED : MESSAGES[role];
}

/** Undefined for an unspecified role, and for the role of a newer version, which then has no permissions. */
export function roleFromProto(message: RoleMessage): Role | undefined {
  return ROLES_BY_MESSAGE.get(message);
}
