// GetEventType reads one type of the catalog of the organization.
import type { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { CatalogDeps } from "./catalog.ts";
import { eventTypeToProto } from "./event-type-proto.ts";

export function getEventType(deps: CatalogDeps): UnaryHandler<typeof EventTypeService.method.getEventType> {
  return async ({ name }, { organizationId }) => {
    const type = await deps.catalog.find(deps.database.reader, organizationId, name);
    if (type === undefined) throw new AppError("EVENT_TYPE_NOT_FOUND");
    return { eventType: eventTypeToProto(type) };
  };
}
