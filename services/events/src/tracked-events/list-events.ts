// ListEvents lists a person's events, newest first. Events of equal time are ordered by descending id.
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { TrackedEventSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import { isUuid, type ProfileId, type TrackedEventId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { AppError, invalidField } from "@muster/errors";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import { getEventsAt } from "../event-storage/event-cursor-store.ts";
import { eventToProto, msOfTimestamp } from "../event-storage/event-proto.ts";
import {
  type EventListFilter,
  type EventRow,
  eventFromRow,
  listEvents as listOfProfile,
} from "../event-storage/event-store.ts";
import { mergeEventCursors } from "../event-storage/merge-event-cursors.ts";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import { linkedProfileIds, rootOf } from "../identity-graph/links-store.ts";
import { requireProfileId } from "../profile-storage/require-profile-id.ts";

export function listEvents(deps: EventsDeps): UnaryHandler<typeof EventService.method.listEvents> {
  return async (request, context) => {
    const { organizationId } = context;
    const profileId = requireProfileId(request.profileId);
    const names = [...new Set(request.name)].sort();
    const fromMs = boundOf("from", request.from, Math.ceil);
    const toMs = boundOf("to", request.to, Math.floor);
    const scope = JSON.stringify(["events", organizationId, profileId, names, fromMs ?? "", toMs ?? ""]);
    const page = readPage(deps.pageTokens, scope, request, positionOf);
    const db = deps.database.reader;
    const rootId = await rootOf(db, organizationId, profileId);
    if (rootId === undefined) throw new AppError("PROFILE_NOT_FOUND");
    const filter = { organizationId, profileId: rootId, names, fromMs, toMs };
    const profileIds = await linkedProfileIds(db, organizationId, rootId);
    const { items, nextPageToken } = await page.fill({
      item: TrackedEventSchema,
      read: (after, limit) => listOfGroup(db, { ...filter, after }, profileIds, limit),
      positionOf: ({ occurredMs, id }) => [occurredMs, id],
      toItems: (events) => events.map(eventToProto),
    });
    return { events: items, nextPageToken };
  };
}

/** Lists up to `limit` events of all linked profiles of the filter's root profile. */
async function listOfGroup(
  db: Queryable,
  filter: EventListFilter,
  profileIds: readonly ProfileId[],
  limit: number,
): Promise<TrackedEvent[]> {
  if (profileIds.length === 1) return listOfProfile(db, filter, limit);
  const { organizationId, after, profileId: rootId } = filter;
  const cursorFilter = {
    ...filter,
    order: "desc" as const,
    names: filter.names.map((name) => Buffer.from(name)),
    after: after && { occurredMs: after.occurredMs, eventId: uuidToBytes(after.id) },
  };
  const rows: EventRow[] = [];
  for await (const run of mergeEventCursors(db, cursorFilter, profileIds, limit)) {
    // Repeats only if events were deleted after the sort keys were read.
    for (let start = 0; start < run.length && rows.length < limit; ) {
      const some = run.slice(start, start + limit - rows.length);
      rows.push(...(await getEventsAt(db, organizationId, some)));
      start += some.length;
    }
    if (rows.length >= limit) break;
  }
  return rows.map((row) => eventFromRow(row, rootId));
}

function boundOf(
  field: string,
  timestamp: Timestamp | undefined,
  round: (ms: number) => number,
): number | undefined {
  if (timestamp === undefined) return undefined;
  const ms = msOfTimestamp(timestamp);
  if (ms === undefined) throw invalidField(field, "must lie between the years 0001 and 9999");
  // Event times have millisecond precision, so a finer bound is rounded to the inner millisecond.
  return ms + round((timestamp.nanos % 1_000_000) / 1_000_000);
}

function positionOf([occurredMs, id]: PagePosition): EventListFilter["after"] {
  if (typeof occurredMs !== "number" || typeof id !== "string" || !isUuid(id)) return undefined;
  return { occurredMs, id: id as TrackedEventId };
}
