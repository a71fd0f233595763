// Lists the RPC of partners with its handler.
import { ProvisioningService } from "@muster/contracts/muster/identity/v1/provisioning_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import { provisionOrganization } from "./provision-organization.ts";
import type { ProvisioningDeps } from "./run-provisioning.ts";

export function provisioningService(deps: ProvisioningDeps): ServiceImplementation {
  return implement(ProvisioningService, {
    provisionOrganization: provisionOrganization(deps),
  });
}
