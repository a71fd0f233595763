// Locks a member of the caller's organization for a change, and saves the change.
import type { Member } from "@muster/contracts/muster/identity/v1/member_pb";
import type { UserId } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import { type Actor, readActor, requirePermitted } from "../membership-rules/actor.ts";
import { lockOrganizations } from "../membership-rules/last-owner.ts";
import { memberToProto } from "../memberships/member-proto.ts";
import type { Membership } from "../memberships/membership.ts";
import { lockMembership, saveMembership } from "../memberships/membership-store.ts";
import { findUser } from "../users/user-store.ts";

export type ChangeContext = Pick<CallContext, "principal" | "organizationId">;

export interface LockedMember {
  readonly actor: Actor;
  readonly membership: Membership;
}

/**
 * Locks the organization, which lets one change of its members at a time run, and then the membership. PERMISSION_DENIED
 * for a caller who has lost the permission, unless the member is the caller; USER_NOT_FOUND without a membership.
 */
export async function lockMember(
  trx: Transaction,
  context: ChangeContext,
  userId: UserId,
  permission: string,
): Promise<LockedMember> {
  const actor = await lockActor(trx, context, permission);
  if (actor.userId !== userId) requirePermitted(actor, permission);
  const membership = await lockMembership(trx, context.organizationId, userId);
  if (membership === undefined) throw new AppError("USER_NOT_FOUND");
  return { actor, membership };
}

/** Locks the organization of the caller. */
export async function lockActor(
  trx: Transaction,
  context: ChangeContext,
  permission: string,
): Promise<Actor> {
  await lockOrganizations(trx, [context.organizationId]);
  return readActor(trx, context, permission);
}

export async function changeMembership(
  trx: Transaction,
  before: Membership,
  changes: Partial<Pick<Membership, "name" | "role" | "status">>,
  nowMs: number,
): Promise<Membership> {
  const after = { ...before, ...changes, version: before.version + 1, updateTimeMs: nowMs };
  await saveMembership(trx, before, after);
  return after;
}

export async function readMember(queryable: Queryable, membership: Membership): Promise<Member> {
  const user = await findUser(queryable, membership.userId);
  if (user === undefined) throw new AppError("USER_NOT_FOUND");
  return memberToProto(membership, user);
}
