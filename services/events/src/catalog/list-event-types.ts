// ListEventTypes lists the catalog of the organization by the bytes of the names.
import {
  EventTypeSchema,
  type EventTypeService,
} from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { CatalogDeps } from "./catalog.ts";
import { eventTypeToProto } from "./event-type-proto.ts";

export function listEventTypes({
  catalog,
  database,
  pageTokens,
}: CatalogDeps): UnaryHandler<typeof EventTypeService.method.listEventTypes> {
  return async (request, { organizationId }) => {
    const scope = JSON.stringify(["event-types", organizationId]);
    const page = readPage(pageTokens, scope, request, parsePosition);
    const types = await catalog.typesOf(database.reader, organizationId);
    const sorted = [...types.values()].sort((a, b) => compareNames(a.name, b.name));
    const { items, nextPageToken } = await page.fill({
      item: EventTypeSchema,
      read: async (after, limit) =>
        sorted.filter(({ name }) => after === undefined || compareNames(name, after) > 0).slice(0, limit),
      positionOf: ({ name }) => [name],
      toItems: (rows) => rows.map(eventTypeToProto),
    });
    return { eventTypes: items, nextPageToken };
  };
}

function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function parsePosition([name]: PagePosition): string | undefined {
  return typeof name === "string" ? name : undefined;
}
