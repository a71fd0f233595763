// ListInvitations: lists the invitations to the caller's organization that were not accepted, oldest first.
import { InvitationSchema } from "@muster/contracts/muster/identity/v1/invitation_pb";
import type { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { isUuid } from "@muster/core";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { type InvitationCursor, listInvitationPage } from "../invitations/invitation-store.ts";
import { findMembershipsOf } from "../memberships/membership-store.ts";
import { invitationToProto } from "./invitation-proto.ts";

export function listInvitations({
  database: { reader },
  pageTokens,
}: IdentityDeps): UnaryHandler<typeof InvitationService.method.listInvitations> {
  return async (request, { organizationId }) => {
    const scope = `invitations/${organizationId}`;
    const { items, nextPageToken } = await readPage(pageTokens, scope, request, cursorOf).fill({
      item: InvitationSchema,
      read: (after, limit) => listInvitationPage(reader, organizationId, after, limit),
      positionOf: ({ createTimeMs, id }) => [createTimeMs, id],
      toItems: async (invitations) => {
        const ids = invitations.map(({ userId }) => userId);
        const members = await findMembershipsOf(reader, organizationId, ids);
        const byId = new Map(members.map((member) => [member.userId, member]));
        return invitations.map((invitation) => {
          const member = byId.get(invitation.userId);
          return member && invitationToProto(invitation, member);
        });
      },
    });
    return { invitations: items, nextPageToken };
  };
}

function cursorOf([createTimeMs, id]: PagePosition): InvitationCursor | undefined {
  if (typeof createTimeMs !== "number" || typeof id !== "string" || !isUuid(id)) return undefined;
  return { createTimeMs, id };
}
