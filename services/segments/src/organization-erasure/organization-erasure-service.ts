// EraseOrganization: begins to erase a closed organization, and returns how far the erasure is.
import { OrganizationErasureService } from "@muster/contracts/muster/segments/v1/organization_erasure_service_pb";
import { bytesToUuid, type OrganizationId } from "@muster/core";
import type { Database } from "@muster/db";
import { OrganizationEraser } from "@muster/outbox";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { Platform } from "@muster/runtime";
import { ERASED_TOPIC } from "../erasure/erasure-worker.ts";
import { organizationContent } from "./organization-content.ts";

/** The service, and the worker that erases. */
export function organizationErasure(platform: Platform): {
  readonly service: ServiceImplementation;
  readonly eraser: OrganizationEraser;
} {
  const options = { service: "segments", content: organizationContent, erasedTopic: ERASED_TOPIC };
  const eraser = new OrganizationEraser({ ...platform, ...options });
  return { service: organizationErasureService(platform.database, eraser), eraser };
}

function organizationErasureService(database: Database, eraser: OrganizationEraser): ServiceImplementation {
  return implement(OrganizationErasureService, {
    async eraseOrganization(request) {
      const organizationId = bytesToUuid<OrganizationId>(request.organizationId);
      const known = await eraser.progress(organizationId);
      if (known !== undefined) return known;
      await database.transaction((trx) => eraser.close(trx, organizationId));
      eraser.wake();
      return { isErased: false, isFinal: false };
    },
  });
}
