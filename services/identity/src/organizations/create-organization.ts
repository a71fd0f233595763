// CreateOrganization: creates an organization and its first API key, both or neither.
import { create } from "@bufbuild/protobuf";
import {
  CreateOrganizationResponseSchema,
  type OrganizationService,
} from "@muster/contracts/muster/identity/v1/organization_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import { apiKeyToProto } from "../api-keys/api-key-proto.ts";
import type { IdentityDeps } from "../deps.ts";
import { insertNewOrganization, newOrganization } from "./new-organization.ts";
import { requireTimeZone, TIME_ZONE_DEFAULT } from "./organization.ts";
import { organizationToProto } from "./organization-proto.ts";

export function createOrganization(
  deps: IdentityDeps,
): UnaryHandler<typeof OrganizationService.method.createOrganization> {
  return async (request, context) => {
    const { name } = request;
    const timeZone = requireTimeZone(request.timeZone ?? TIME_ZONE_DEFAULT, "time_zone");
    const created = newOrganization(deps, { name, timeZone });
    const response = create(CreateOrganizationResponseSchema, {
      organization: organizationToProto(created.organization),
      apiKey: apiKeyToProto(created.apiKey),
      secret: created.secret,
    });
    await deps.database.transaction(async (trx) => {
      await insertNewOrganization(trx, created);
      await context.saveResponse(trx, response);
    });
    return response;
  };
}
