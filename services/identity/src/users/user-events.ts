// Builds the domain events about users. An event is of one organization.
import type { Role } from "@muster/authz";
import {
  UserDeletedSchema,
  UserInvitedSchema,
  UserJoinedSchema,
  UserLeftSchema,
  UserReinstatedSchema,
  UserRestoredSchema,
  UserRoleChangedSchema,
  UserSuspendedSchema,
  UserVerifiedSchema,
} from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { type DomainEvent, domainEvent } from "@muster/outbox";

interface UserOfOrganization {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
}

export function userVerified(user: UserOfOrganization, nowMs: number): DomainEvent {
  return domainEvent(UserVerifiedSchema, keyOf(user), { ...idsOf(user), timeMs: BigInt(nowMs) });
}

export function userInvited(user: UserOfOrganization, role: Role, nowMs: number): DomainEvent {
  return domainEvent(UserInvitedSchema, keyOf(user), { ...idsOf(user), role, timeMs: BigInt(nowMs) });
}

export function userJoined(user: UserOfOrganization, role: Role, nowMs: number): DomainEvent {
  return domainEvent(UserJoinedSchema, keyOf(user), { ...idsOf(user), role, timeMs: BigInt(nowMs) });
}

export function userRoleChanged(
  user: UserOfOrganization,
  { role, previousRole }: { readonly role: Role; readonly previousRole: Role },
  nowMs: number,
): DomainEvent {
  const content = { ...idsOf(user), role, previousRole, timeMs: BigInt(nowMs) };
  return domainEvent(UserRoleChangedSchema, keyOf(user), content);
}

/** Changes of a membership whose events contain nothing but the user and the time. */
const SCHEMAS = {
  suspended: UserSuspendedSchema,
  reinstated: UserReinstatedSchema,
  left: UserLeftSchema,
  deleted: UserDeletedSchema,
  restored: UserRestoredSchema,
} as const;

export function memberChanged(
  change: keyof typeof SCHEMAS,
  user: UserOfOrganization,
  nowMs: number,
): DomainEvent {
  return domainEvent<(typeof SCHEMAS)["suspended"]>(
    SCHEMAS[change] as (typeof SCHEMAS)["suspended"],
    keyOf(user),
    { ...idsOf(user), timeMs: BigInt(nowMs) },
  );
}

function keyOf({ organizationId, userId }: UserOfOrganization) {
  return { organizationId, resourceId: userId };
}

function idsOf({ organizationId, userId }: UserOfOrganization) {
  return { organizationId: uuidToBytes(organizationId), userId: uuidToBytes(userId) };
}
