// Reads the permissions of scopes and roles: exact names such as "events.write", or "*".
import { ROLES, type Role } from "./role.ts";
import { EVERY_KEY_PERMISSION, PERMISSIONS, rolesWith, withIncluded } from "./role-permissions.ts";

/** The scope that stands for EVERY_KEY_PERMISSION, with the permissions of later versions. */
export const EVERY_PERMISSION = "*";

/** The permissions of a caller. */
export interface Permissions {
  has(permission: string): boolean;
}

/** The permissions of a credential with these scopes. */
export function permissionsOf(scopes: Iterable<string>): Permissions {
  const held = new Set(scopes);
  if (held.has(EVERY_PERMISSION)) for (const permission of EVERY_KEY_PERMISSION) held.add(permission);
  return withIncluded(held);
}

/** The permissions of a user with this role. Only who holds all that "*" stands for holds "*". */
export function permissionsOfRole(role: Role): Permissions {
  return PERMISSIONS_OF[role];
}

const PERMISSIONS_OF = Object.fromEntries(ROLES.map((role) => [role, listed(role)])) as Record<
  Role,
  Permissions
>;

function listed(role: Role): Permissions {
  const held = PERMISSIONS.filter((permission) => rolesWith(permission).includes(role));
  const hasAll = EVERY_KEY_PERMISSION.every((permission) => held.includes(permission));
  return withIncluded(hasAll ? [...held, EVERY_PERMISSION] : held);
}
