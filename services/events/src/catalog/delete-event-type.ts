// DeleteEventType removes a type from the catalog of the organization.
import type { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { CatalogDeps } from "./catalog.ts";
import { deleteChange, lockCatalog, putChange } from "./event-type-store.ts";

export function deleteEventType(
  deps: CatalogDeps,
): UnaryHandler<typeof EventTypeService.method.deleteEventType> {
  return async ({ name }, { organizationId }) => {
    await deps.database.transaction(async (trx) => {
      await lockCatalog(trx, organizationId);
      const type = await deps.catalog.find(trx, organizationId, name);
      if (type === undefined) throw new AppError("EVENT_TYPE_NOT_FOUND");
      // Without a row the default type would reappear.
      if (deps.catalog.isDefault(name)) await putChange(trx, organizationId, { ...type, isDeleted: true });
      else await deleteChange(trx, organizationId, name);
    });
    return {};
  };
}
