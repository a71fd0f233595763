// Lists the handlers of EventTypeService.
import { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { CatalogDeps } from "./catalog.ts";
import { createEventType } from "./create-event-type.ts";
import { deleteEventType } from "./delete-event-type.ts";
import { getEventType } from "./get-event-type.ts";
import { listEventTypes } from "./list-event-types.ts";
import { updateEventType } from "./update-event-type.ts";

/** Binds every RPC of EventTypeService to the handler. */
export function eventTypeService(deps: CatalogDeps): ServiceImplementation {
  return implement(EventTypeService, {
    listEventTypes: listEventTypes(deps),
    createEventType: createEventType(deps),
    getEventType: getEventType(deps),
    updateEventType: updateEventType(deps),
    deleteEventType: deleteEventType(deps),
  });
}
