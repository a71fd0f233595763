// Decides which roles a member may grant, take away and change. Pure.
import type { Role } from "./role.ts";

/** Auditors have the lowest rank; only owners grant, take away and delete the role. */
const RANK: Readonly<Record<Role, number>> = { owner: 3, admin: 2, member: 1, auditor: 0 };

/** The role that ranks an API key. An owner can raise a key with `grantUpTo`. */
export function rankRoleOfKey(grantUpTo: Role | undefined): Role {
  return grantUpTo ?? "member";
}

/**
 * Whether the rank of `actor` allows to give `role` to a member, to take the role away, or to delete a member with
 * the role. The caller checks the permission before.
 */
export function mayGrantOrTake(actor: Role, role: Role): boolean {
  if (role === "auditor") return actor === "owner";
  return RANK[actor] >= RANK[role];
}

/** Whether the rank of `actor` allows other changes of a member with the role `target`, such as a suspension. */
export function mayChange(actor: Role, target: Role): boolean {
  return RANK[actor] >= RANK[target];
}
