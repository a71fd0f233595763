// SwitchOrganization: opens a session of another organization of the caller.
import { create } from "@bufbuild/protobuf";
import type { UserPrincipal } from "@muster/authz";
import { LoginMethod } from "@muster/contracts/muster/identity/v1/identity_events_pb";
import {
  type SessionService,
  SwitchOrganizationResponseSchema,
} from "@muster/contracts/muster/identity/v1/session_service_pb";
import { isUuid, type OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { loginRecorded } from "../login/complete-login.ts";
import { lockMembership, recordLogin } from "../memberships/membership-store.ts";
import { findOrganization } from "../organizations/organization-store.ts";
import { openSession } from "../sessions/open-session.ts";
import { isLive, type Session } from "../sessions/session.ts";
import { lockSession } from "../sessions/session-store.ts";
import { lockUser, setLastOrganization } from "../users/user-store.ts";

export function switchOrganization(
  deps: IdentityDeps,
): UnaryHandler<typeof SessionService.method.switchOrganization> {
  return async (request, context) => {
    if (!isUuid(request.organizationId)) throw new AppError("ORGANIZATION_NOT_FOUND");
    const organizationId = request.organizationId as OrganizationId;
    const { user, client } = context;
    return writeTransaction(deps, context, async (trx, write) => {
      const nowMs = deps.clock.nowMs();
      const current = await lockCurrent(trx, user, organizationId, nowMs);
      const tokens = await openSession(deps, trx, {
        userId: user.id,
        organizationId,
        methods: current.authenticationMethods,
        // The person is the same: a step-up carries over.
        authenticatedTimeMs: current.authenticatedTimeMs,
        client,
        nowMs,
      });
      await recordLogin(trx, organizationId, user.id, nowMs);
      await setLastOrganization(trx, user.id, organizationId);
      await insertActivity(trx, deps, {
        userId: user.id,
        kind: "organization_switched",
        timeMs: nowMs,
        client,
      });
      write.publish(
        loginRecorded(deps, { organizationId, userId: user.id, method: LoginMethod.SWITCH, nowMs }),
      );
      return create(SwitchOrganizationResponseSchema, { tokens });
    });
  };
}

/** Locks the user, the membership of the target and the caller's session, in the order of every login. */
async function lockCurrent(
  trx: Transaction,
  { id, sessionId }: UserPrincipal,
  organizationId: OrganizationId,
  nowMs: number,
): Promise<Session> {
  const user = await lockUser(trx, id);
  const membership = await lockMembership(trx, organizationId, id);
  const session = await lockSession(trx, sessionId);
  if (user === undefined || session === undefined || !isLive(session, nowMs))
    throw new AppError("SESSION_ENDED");
  const organization = await findOrganization(trx, organizationId);
  if (organization === undefined || membership?.status !== "active")
    throw new AppError("ORGANIZATION_NOT_FOUND");
  return session;
}
