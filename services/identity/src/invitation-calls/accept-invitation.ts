// AcceptInvitation: makes the caller a member of the organization that has invited the caller's address.
import { create } from "@bufbuild/protobuf";
import { roleToProto } from "@muster/authz";
import {
  AcceptInvitationResponseSchema,
  type InvitationService,
} from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { mailTokenHash } from "../one-time-tokens/mail-token.ts";
import { findOrganization } from "../organizations/organization-store.ts";
import { lockUser } from "../users/user-store.ts";
import { joinOrganization, lockOrganizationOfInvitation } from "./join-organization.ts";

export function acceptInvitation(
  deps: IdentityDeps,
): UnaryHandler<typeof InvitationService.method.acceptInvitation> {
  return (request, context) => {
    const tokenHash = mailTokenHash(request.token);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const invitation = tokenHash && (await lockOrganizationOfInvitation(trx, tokenHash));
      if (invitation === undefined) throw new AppError("TOKEN_INVALID");
      const user = await lockUser(trx, context.user.id);
      if (user === undefined) throw new AppError("SESSION_ENDED");
      if (!user.isEmailVerified) throw new AppError("EMAIL_NOT_VERIFIED");
      const joined = await joinOrganization(trx, write, invitation, user, nowMs);
      if (typeof joined === "string") throw new AppError(joined);
      const { organizationId: id, role } = joined;
      const organization = await findOrganization(trx, id);
      return create(AcceptInvitationResponseSchema, {
        organization: { id, name: organization?.name ?? "", role: roleToProto(role) },
      });
    });
  };
}
