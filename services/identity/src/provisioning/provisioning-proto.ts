// Makes the response of a provisioning. Equal for every repeated request, whatever has changed since.
import { create } from "@bufbuild/protobuf";
import {
  type ProvisionOrganizationResponse,
  ProvisionOrganizationResponseSchema,
} from "@muster/contracts/muster/identity/v1/provisioning_service_pb";
import type { UserId } from "@muster/core";
import { memberToProto } from "../memberships/member-proto.ts";
import type { Membership } from "../memberships/membership.ts";
import { createdOrganization, type Organization, TIME_ZONE_DEFAULT } from "../organizations/organization.ts";
import { organizationToProto } from "../organizations/organization-proto.ts";
import type { ProvisionedOwner, Provisioning, StoredOwner } from "./provisioning.ts";

/** Stands for an owner whose account is erased. */
const NO_ID = "" as UserId;

/** The organization as it is created. */
export function provisionedOrganization({
  organizationId,
  content,
  createTimeMs,
}: Provisioning): Organization {
  const { organizationName: name } = content;
  return createdOrganization({ id: organizationId, name, createTimeMs, timeZone: TIME_ZONE_DEFAULT });
}

/** The membership of the owner as it is created. */
export function ownerMembership(provisioning: Provisioning, { id, isInvited }: ProvisionedOwner): Membership {
  const { organizationId, content, createTimeMs } = provisioning;
  return {
    organizationId,
    userId: id,
    name: content.ownerName,
    role: "owner",
    status: isInvited ? "invited" : "active",
    invitedEmail: isInvited ? content.ownerEmail : undefined,
    lastLoginTimeMs: undefined,
    loginCount: 0,
    version: 1,
    createTimeMs,
    updateTimeMs: createTimeMs,
  };
}

export function provisioningToProto(
  provisioning: Provisioning,
  { id = NO_ID, isInvited }: StoredOwner,
): ProvisionOrganizationResponse {
  const organization = provisionedOrganization(provisioning);
  const owner = { id, isInvited };
  const memberCount = isInvited ? 0 : 1;
  const user = { id, email: provisioning.content.ownerEmail, isEmailVerified: false };
  return create(ProvisionOrganizationResponseSchema, {
    organization: organizationToProto({ ...organization, memberCount }),
    owner: memberToProto(ownerMembership(provisioning, owner), user),
  });
}
