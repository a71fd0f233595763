// GetOrganization: returns the caller's own organization.
import type { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { organizationToProto } from "../organizations/organization-proto.ts";
import { findOrganization } from "../organizations/organization-store.ts";

export function getOrganization({
  database,
}: IdentityDeps): UnaryHandler<typeof OrganizationService.method.getOrganization> {
  return async (request, { organizationId }) => {
    // Another organization is reported as not found, like an unknown id.
    if (request.organizationId !== organizationId) throw new AppError("ORGANIZATION_NOT_FOUND");
    const organization = await findOrganization(database.reader, organizationId);
    if (organization === undefined) throw new AppError("ORGANIZATION_NOT_FOUND");
    return { organization: organizationToProto(organization) };
  };
}
