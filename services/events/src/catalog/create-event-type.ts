// CreateEventType adds a type to the catalog of the organization. Past events of the name earn points from
// now on.
import { create } from "@bufbuild/protobuf";
import {
  CreateEventTypeResponseSchema,
  type EventTypeService,
} from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { CatalogDeps } from "./catalog.ts";
import { EVENT_TYPES_MAX } from "./event-type.ts";
import { eventTypeToProto, requireEventType } from "./event-type-proto.ts";
import { lockCatalog, putChange } from "./event-type-store.ts";

export function createEventType(
  deps: CatalogDeps,
): UnaryHandler<typeof EventTypeService.method.createEventType> {
  return async ({ name, description, price = 0 }, context) => {
    const { organizationId } = context;
    const type = requireEventType({ name, description, price });
    const response = create(CreateEventTypeResponseSchema, { eventType: eventTypeToProto(type) });
    await deps.database.transaction(async (trx) => {
      await lockCatalog(trx, organizationId);
      const types = await deps.catalog.typesOf(trx, organizationId);
      if (types.has(name)) throw new AppError("EVENT_TYPE_EXISTS");
      if (types.size >= EVENT_TYPES_MAX) {
        throw new AppError("EVENT_TYPE_LIMIT_REACHED", { details: { limit: String(EVENT_TYPES_MAX) } });
      }
      await putChange(trx, organizationId, { ...type, isDeleted: false });
      await context.saveResponse(trx, response);
    });
    return response;
  };
}
