// OrganizationDirectoryService.GetOrganization: returns an organization to the other services.
import type { OrganizationDirectoryService } from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import { bytesToUuid, type OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { organizationToProto } from "../organizations/organization-proto.ts";
import { findOrganization } from "../organizations/organization-store.ts";

export function getOrganizationForService(
  deps: IdentityDeps,
): UnaryHandler<typeof OrganizationDirectoryService.method.getOrganization> {
  return async (request) => {
    const id = bytesToUuid<OrganizationId>(request.organizationId);
    const organization = await findOrganization(deps.database.reader, id);
    if (organization === undefined) throw new AppError("ORGANIZATION_NOT_FOUND");
    return { organization: organizationToProto(organization) };
  };
}
