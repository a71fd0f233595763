// Lists the RPCs about organizations with their handlers.
import { OrganizationDirectoryService } from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { createOrganization } from "./create-organization.ts";
import { deleteOrganization } from "./delete-organization.ts";
import { getOrganization } from "./get-organization.ts";
import { listOrganizations } from "./list-organizations.ts";
import { getOrganizationForService } from "./organization-directory.ts";
import { undeleteOrganization } from "./undelete-organization.ts";
import { updateOrganization } from "./update-organization.ts";

export function organizationService(deps: IdentityDeps): ServiceImplementation {
  return implement(OrganizationService, {
    createOrganization: createOrganization(deps),
    getOrganization: getOrganization(deps),
    listOrganizations: listOrganizations(deps),
    updateOrganization: updateOrganization(deps),
    deleteOrganization: deleteOrganization(deps),
    undeleteOrganization: undeleteOrganization(deps),
  });
}

export function organizationDirectoryService(deps: IdentityDeps): ServiceImplementation {
  return implement(OrganizationDirectoryService, {
    getOrganization: getOrganizationForService(deps),
  });
}
