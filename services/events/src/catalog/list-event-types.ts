// ListEventTypes lists the catalog of the organization by the bytes of the names.
import type { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { PAGE_SIZE_DEFAULT } from "@muster/core";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { eventTypeToProto } from "./event-type-proto.ts";

export function listEventTypes(
  deps: EventsDeps,
): UnaryHandler<typeof EventTypeService.method.listEventTypes> {
  return async (request, { organizationId }) => {
    const scope = JSON.stringify(["event-types", organizationId]);
    const after = openToken(deps, scope, request.pageToken);
    const types = await deps.catalog.typesOf(deps.database.reader, organizationId);
    const following = [...types.values()]
      .sort((a, b) => compareNames(a.name, b.name))
      .filter(({ name }) => after === undefined || compareNames(name, after) > 0);
    const page = following.slice(0, request.pageSize || PAGE_SIZE_DEFAULT);
    const last = page.at(-1);
    const hasMore = page.length < following.length && last !== undefined;
    return {
      eventTypes: page.map(eventTypeToProto),
      nextPageToken: hasMore ? deps.pageTokens.seal(scope, [last.name]) : "",
    };
  };
}

function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function openToken(deps: EventsDeps, scope: string, token: string): string | undefined {
  if (token === "") return undefined;
  const [name] = deps.pageTokens.open(scope, token) ?? [];
  if (typeof name !== "string") throw new AppError("PAGE_TOKEN_INVALID");
  return name;
}
