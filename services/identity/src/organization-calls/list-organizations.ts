// ListOrganizations: lists the organizations of the caller: of a user the active memberships, of a key its own.
import {
  type Organization as OrganizationMessage,
  OrganizationSchema,
} from "@muster/contracts/muster/identity/v1/organization_pb";
import type {
  ListOrganizationsRequest,
  OrganizationService,
} from "@muster/contracts/muster/identity/v1/organization_service_pb";
import type { OrganizationId, UserId } from "@muster/core";
import { AppError } from "@muster/errors";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { listActiveMembershipPage } from "../memberships/membership-store.ts";
import { organizationToProto } from "../organizations/organization-proto.ts";
import { findOrganization, findOrganizations } from "../organizations/organization-store.ts";

interface Listed {
  readonly organizations: OrganizationMessage[];
  readonly nextPageToken: string;
}

export function listOrganizations(
  deps: IdentityDeps,
): UnaryHandler<typeof OrganizationService.method.listOrganizations> {
  return (request, { principal, organizationId }) =>
    principal.kind === "user"
      ? listOfUser(deps, request, principal.id)
      : listOfKey(deps, request, organizationId);
}

async function listOfUser(
  { database, pageTokens }: IdentityDeps,
  request: ListOrganizationsRequest,
  userId: UserId,
): Promise<Listed> {
  const { items, nextPageToken } = await readPage(
    pageTokens,
    `organizations/${userId}`,
    request,
    cursorOf,
  ).fill({
    item: OrganizationSchema,
    read: (after, limit) => listActiveMembershipPage(database.reader, userId, after, limit),
    positionOf: ({ organizationId }) => [organizationId],
    toItems: async (memberships) => {
      const ids = memberships.map(({ organizationId }) => organizationId);
      const found = await findOrganizations(database.reader, ids);
      const messages = new Map(
        found.map((organization) => [organization.id, organizationToProto(organization)]),
      );
      return ids.map((id) => messages.get(id));
    },
  });
  return { organizations: items, nextPageToken };
}

function cursorOf([id]: PagePosition): OrganizationId | undefined {
  return typeof id === "string" ? (id as OrganizationId) : undefined;
}

/** A key belongs to exactly one organization. */
async function listOfKey(
  { database }: IdentityDeps,
  request: ListOrganizationsRequest,
  organizationId: OrganizationId,
): Promise<Listed> {
  // The list has a single page, so no token was ever returned.
  if (request.pageToken !== "") throw new AppError("PAGE_TOKEN_INVALID");
  const organization = await findOrganization(database.reader, organizationId);
  return {
    organizations: organization === undefined ? [] : [organizationToProto(organization)],
    nextPageToken: "",
  };
}
