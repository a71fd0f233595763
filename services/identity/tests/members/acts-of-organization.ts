// Makes changes to a person by the second organization of the person.
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { DeletionRequestService } from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import type { OrganizationId, UserId } from "@muster/core";
import { recordLogin } from "../../src/memberships/membership-store.ts";
import type { Member, PrivacyUnderTest } from "../privacy/privacy-under-test.ts";

const users = UserService.method;
const organizations = OrganizationService.method;

export const ACTS = [
  "rename",
  "promote",
  "demote",
  "suspend",
  "reinstate",
  "remove",
  "restore",
  "leave",
  "invite",
  "cancel invitation",
  "log in",
  "end sessions",
  "export",
  "make key",
  "rename organization",
  "require second factor",
  "request deletion",
  "approve deletion",
  "request end",
] as const;
export type Act = (typeof ACTS)[number];
/** Reasons of B to refuse an act that does not fit the state of the member. */
export const REFUSALS = new Set([
  "ALREADY_INVITED",
  "DELETION_REQUEST_DECIDED",
  "PERMISSION_DENIED",
  "SESSION_ENDED",
  "USER_EXISTS",
  "USER_INVITED",
  "USER_NOT_FOUND",
]);

/** A person in the organizations A and B. */
export interface Place {
  readonly a: OrganizationId;
  readonly b: OrganizationId;
  readonly person: UserId;
  readonly ownerOfA: Member;
  readonly ownerOfB: Member;
  /** Undefined unless the person is active in A. */
  readonly memberOfA: Member | undefined;
  readonly memberOfB: Member;
}

export function logIn(
  { database, clock }: PrivacyUnderTest,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<void> {
  return database.transaction((trx) => recordLogin(trx, organizationId, userId, clock.nowMs()));
}

export async function act(identity: PrivacyUnderTest, place: Place, kind: Act): Promise<unknown> {
  const { b, person: userId, ownerOfB, memberOfB } = place;
  const { as } = ownerOfB;
  const change = (user: object) => identity.call(users.updateUser, { userId, user, ifMatch: "*" }, as);
  switch (kind) {
    case "rename":
      return change({ name: "Ada, renamed by B" });
    case "promote":
      return change({ role: RoleMessage.OWNER });
    case "demote":
      return change({ role: RoleMessage.AUDITOR });
    case "suspend":
      return identity.call(users.suspendUser, { userId }, as);
    case "reinstate":
      return identity.call(users.reinstateUser, { userId }, as);
    case "remove":
      return identity.call(users.deleteUser, { userId, revokeApiKeys: true }, as);
    case "restore":
      return identity.call(users.restoreUser, { userId }, as);
    case "leave":
      return identity.call(users.leaveOrganization, {}, memberOfB.as);
    case "invite":
      return identity.call(
        users.createUser,
        { email: `${userId}@example.com`, name: "Ada, invited by B", role: RoleMessage.MEMBER },
        as,
      );
    case "cancel invitation":
      return cancelInvitation(identity, place);
    case "log in":
      return logIn(identity, b, userId);
    case "end sessions":
      return identity.call(users.revokeUserSessions, { userId }, as);
    case "export":
      return identity.exported(userId, as);
    case "make key":
      return identity.call(
        ApiKeyService.method.createApiKey,
        { name: "Key of B", scopes: ["events.read"] },
        memberOfB.as,
      );
    case "rename organization":
      return identity.call(
        organizations.updateOrganization,
        { organizationId: b, organization: { name: "B, renamed" } },
        as,
      );
    case "require second factor":
      return identity.call(
        organizations.updateOrganization,
        { organizationId: b, organization: { requireTwoFactor: true } },
        as,
      );
    case "request deletion":
      return identity.call(DeletionRequestService.method.createDeletionRequest, { userId }, memberOfB.as);
    case "approve deletion":
      return approveDeletion(identity, place);
    case "request end":
      return identity.call(organizations.deleteOrganization, { organizationId: b }, as);
  }
}

async function cancelInvitation(identity: PrivacyUnderTest, { ownerOfB: { as } }: Place): Promise<void> {
  const { listInvitations, deleteInvitation } = InvitationService.method;
  for (const { id } of (await identity.call(listInvitations, {}, as)).invitations) {
    await identity.call(deleteInvitation, { invitationId: id }, as);
  }
}

async function approveDeletion(identity: PrivacyUnderTest, { ownerOfB: { as } }: Place): Promise<void> {
  const { listDeletionRequests, approveDeletionRequest } = DeletionRequestService.method;
  const { deletionRequests } = await identity.call(listDeletionRequests, {}, as);
  for (const { id } of deletionRequests) {
    await identity.call(approveDeletionRequest, { deletionRequestId: id }, as);
  }
}
