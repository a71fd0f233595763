// Reads the content of a provisioning from a request.
import type { ProvisionOrganizationRequest } from "@muster/contracts/muster/identity/v1/provisioning_service_pb";
import { emailProblem, emailSpelling } from "@muster/core";
import { invalidField } from "@muster/errors";
import { requirePersonName } from "../users/person-name.ts";
import type { ProvisioningContent } from "./provisioning.ts";

export function requestedProvisioning(
  request: Pick<ProvisionOrganizationRequest, "organizationName" | "ownerEmail" | "ownerName">,
): ProvisioningContent {
  const problem = emailProblem(request.ownerEmail);
  if (problem !== undefined) throw invalidField("owner_email", problem);
  return {
    organizationName: request.organizationName,
    ownerEmail: emailSpelling(request.ownerEmail),
    ownerName: requirePersonName(request.ownerName, "owner_name"),
  };
}
