// ListOrganizations: lists the organizations that the caller belongs to. A key belongs to exactly one.
import type { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { organizationToProto } from "./organization-proto.ts";
import { findOrganization } from "./organization-store.ts";

export function listOrganizations(
  deps: IdentityDeps,
): UnaryHandler<typeof OrganizationService.method.listOrganizations> {
  return async (request, context) => {
    // The list has a single page, so no token was ever returned.
    if (request.pageToken !== "") throw new AppError("PAGE_TOKEN_INVALID");
    const organization = await findOrganization(deps.database.reader, context.organizationId);
    return {
      organizations: organization === undefined ? [] : [organizationToProto(organization)],
      nextPageToken: "",
    };
  };
}
