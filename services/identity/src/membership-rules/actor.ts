// Finds the rank of the caller who changes a member.
import { permissionsOfRole, type Role, rankRoleOfKey } from "@muster/authz";
import type { UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import { findMembership } from "../memberships/membership-store.ts";

/** The caller, as the organization ranks it. */
export interface Actor {
  /** Undefined for an API key. */
  readonly userId: UserId | undefined;
  /** Decides by packages/authz/src/roles/role-ranks.ts what the caller may grant and change. */
  readonly role: Role;
  /** Whether the caller holds the permission of the method. Users without it act on their own row only. */
  readonly isPermitted: boolean;
}

type ActorContext = Pick<CallContext, "principal" | "organizationId">;

/**
 * The caller with the current role: another process may have changed the role since the credential was verified. The
 * transaction has locked the organization, so the role stays until the commit.
 */
export async function readActor(
  trx: Transaction,
  { principal, organizationId }: ActorContext,
  permission: string,
): Promise<Actor> {
  if (principal.kind !== "user") {
    const grantUpTo = principal.kind === "api_key" ? principal.grantUpTo : undefined;
    return { userId: undefined, role: rankRoleOfKey(grantUpTo), isPermitted: true };
  }
  const membership = await findMembership(trx, organizationId, principal.id);
  if (membership?.status !== "active") throw new AppError("SESSION_ENDED");
  const { userId, role } = membership;
  return { userId, role, isPermitted: permissionsOfRole(role).has(permission) };
}

/** PERMISSION_DENIED for a caller that has lost the permission since the credential was verified. */
export function requirePermitted(actor: Actor, permission: string): void {
  if (!actor.isPermitted) throw new AppError("PERMISSION_DENIED", { details: { permission } });
}

/** PERMISSION_DENIED unless the rank of the caller allows the change. */
export function requireRank(isAllowed: boolean): void {
  if (!isAllowed) {
    throw new AppError("PERMISSION_DENIED", {
      message: "The role of the caller does not allow this change.",
    });
  }
}
