// UpdateUser: changes the name and the role of a member.
import { create } from "@bufbuild/protobuf";
import { mayChange, mayGrantOrTake, type Principal, type Role, roleFromProto } from "@muster/authz";
import {
  type UpdateUserRequest,
  UpdateUserResponseSchema,
  type UserChanges,
  type UserService,
} from "@muster/contracts/muster/identity/v1/user_service_pb";
import type { Transaction } from "@muster/db";
import { invalidField } from "@muster/errors";
import { type Write, writeTransaction } from "@muster/outbox";
import { changedPaths, requireVersion, type UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { inviterOf } from "../invitations/invitation.ts";
import { setInviter } from "../invitations/invitation-store.ts";
import { voidInvitationsOf } from "../invitations/void-invitations.ts";
import { requirePermitted, requireRank } from "../membership-rules/actor.ts";
import { requireRemainingOwner } from "../membership-rules/last-owner.ts";
import { notifyMember } from "../membership-rules/notify-member.ts";
import type { Membership } from "../memberships/membership.ts";
import { announceChanges } from "../revocation/announce-changes.ts";
import { requirePersonName } from "../users/person-name.ts";
import { userRoleChanged } from "../users/user-events.ts";
import { requireUserId } from "../users/user-id.ts";
import { changeMembership, type LockedMember, lockMember, readMember } from "./locked-member.ts";

const PERMISSION = "users.update";

type Changes = Partial<Pick<Membership, "name" | "role">>;

/** The version is compared, not changed. */
const FIELDS = { name: "name", role: "role", version: "version" } as const satisfies Record<
  string,
  keyof UserChanges
>;

export function updateUser(deps: IdentityDeps): UnaryHandler<typeof UserService.method.updateUser> {
  return async (request, context) => {
    const userId = requireUserId(request.userId);
    const changes = changesOf(request);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const locked = await lockMember(trx, context, userId, PERMISSION);
      requireAllowedChanges(locked, changes);
      const { membership: before } = locked;
      requireVersion({
        ifMatch: request.ifMatch,
        version: request.user?.version,
        current: before.version,
        isRequired: true,
      });
      const after = await saveChanges(deps, trx, write, {
        before,
        changes,
        principal: context.principal,
        nowMs,
      });
      return create(UpdateUserResponseSchema, { user: await readMember(trx, after) });
    });
  };
}

/** PERMISSION_DENIED where the rank of the caller does not allow the changes. */
function requireAllowedChanges(
  { actor, membership }: LockedMember,
  { role = membership.role }: Changes,
): void {
  const isSelf = actor.userId === membership.userId;
  if (!isSelf) requireRank(mayChange(actor.role, membership.role));
  if (role === membership.role) return;
  // Everybody may change the own name, and nobody the own role without the permission.
  requirePermitted(actor, PERMISSION);
  requireRank(mayGrantOrTake(actor.role, membership.role) && mayGrantOrTake(actor.role, role));
}

interface Change {
  readonly before: Membership;
  readonly changes: Changes;
  readonly principal: Principal;
  readonly nowMs: number;
}

async function saveChanges(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  { before, changes, principal, nowMs }: Change,
): Promise<Membership> {
  const { organizationId, userId } = before;
  const { name = before.name, role = before.role } = changes;
  if (name === before.name && role === before.role) return before;
  const isOwnerNoMore = before.role === "owner" && before.status === "active" && role !== "owner";
  if (isOwnerNoMore) await requireRemainingOwner(trx, organizationId, userId);
  const after = await changeMembership(trx, before, { name, role }, nowMs);
  await notifyMember(deps, trx, write, after, { kind: "membership_changed", nowMs });
  if (role !== before.role) {
    // The right of whoever gives a role to an invited member replaces that of the inviter.
    if (after.status === "invited") await setInviter(trx, organizationId, userId, inviterOf(principal));
    else await voidInvitationsOf(trx, organizationId, userId, role);
    write.publish(userRoleChanged(before, { role, previousRole: before.role }, nowMs));
    await announceChanges(deps, trx, write, [userId]);
  }
  return after;
}

function changesOf({ user, updateMask }: UpdateUserRequest): Changes {
  const changes: { -readonly [K in keyof Changes]: Changes[K] } = {};
  for (const path of changedPaths(updateMask, user, FIELDS)) {
    if (path === "name") {
      if (user?.name === undefined) throw invalidField("user.name", "can't be cleared");
      changes.name = requirePersonName(user.name, "user.name");
    } else if (path === "role") changes.role = requestedRole(user);
  }
  return changes;
}

function requestedRole(user: UserChanges | undefined): Role {
  const role = user?.role === undefined ? undefined : roleFromProto(user.role);
  if (role === undefined) throw invalidField("user.role", "can't be cleared");
  return role;
}
