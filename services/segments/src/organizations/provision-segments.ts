// ProvisionSegments: creates the first segments of an organization that a partner provisions.
import { SegmentProvisioningService } from "@muster/contracts/muster/segments/v1/segment_provisioning_service_pb";
import { bytesToUuid, type Clock, type OrganizationId } from "@muster/core";
import type { Database } from "@muster/db";
import { implement, type ServiceImplementation } from "@muster/rpc";
import { provisionedSegments } from "../segment-model/default-segments.ts";
import { provisionOrganization } from "./provision-organization.ts";

interface ProvisionDeps {
  readonly clock: Clock;
  readonly database: Database;
}

/** A late call for an organization that is erased stores nothing that stays. */
export function segmentProvisioningService({ clock, database }: ProvisionDeps): ServiceImplementation {
  return implement(SegmentProvisioningService, {
    async provisionSegments(request) {
      const organizationId = bytesToUuid<OrganizationId>(request.organizationId);
      const nowMs = clock.nowMs();
      const segments = provisionedSegments(organizationId, nowMs);
      await database.transaction((trx) => provisionOrganization(trx, organizationId, nowMs, segments));
      return {};
    },
  });
}
