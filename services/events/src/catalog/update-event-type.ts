// UpdateEventType changes the fields named by the mask. A changed default type becomes a type of the
// organization.
import type {
  EventTypeService,
  UpdateEventTypeRequest,
} from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { AppError, invalidField } from "@muster/errors";
import { changedPaths, type UnaryHandler } from "@muster/rpc";
import type { CatalogDeps } from "./catalog.ts";
import { type EventType, priceOf } from "./event-type.ts";
import { eventTypeToProto, requireEventType } from "./event-type-proto.ts";
import { lockCatalog, putChange } from "./event-type-store.ts";

const FIELD_PREFIX = "event_type.";
/** Mask paths and the fields of the message. */
const FIELDS = { description: "description", price: "price" } as const;
type Path = keyof typeof FIELDS;

export function updateEventType(
  deps: CatalogDeps,
): UnaryHandler<typeof EventTypeService.method.updateEventType> {
  return async (request, { organizationId }) => {
    const paths = changedPaths(request.updateMask, request.eventType, FIELDS);
    const type = await deps.database.transaction(async (trx) => {
      await lockCatalog(trx, organizationId);
      const before = await deps.catalog.find(trx, organizationId, request.name);
      if (before === undefined) throw new AppError("EVENT_TYPE_NOT_FOUND");
      if (paths.length === 0) return before;
      const after = applyChanges(before, request.eventType, paths);
      await putChange(trx, organizationId, { ...after, isDeleted: false });
      return after;
    });
    return { eventType: eventTypeToProto(type) };
  };
}

function applyChanges(
  before: EventType,
  changes: UpdateEventTypeRequest["eventType"],
  paths: readonly Path[],
): EventType {
  if (paths.includes("price") && changes?.price === undefined) {
    throw invalidField(`${FIELD_PREFIX}price`, "cannot be cleared");
  }
  return requireEventType(
    {
      name: before.name,
      description: paths.includes("description") ? (changes?.description ?? "") : before.description,
      price: changes?.price !== undefined && paths.includes("price") ? changes.price : priceOf(before),
    },
    FIELD_PREFIX,
  );
}
