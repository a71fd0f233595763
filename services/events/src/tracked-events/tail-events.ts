// TailEvents streams the organization's events as they are committed. The first response confirms that the
// tail is attached. Every response carries a token to continue after the response.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type EventService,
  type TailEventsRequest,
  type TailEventsResponse,
  TailEventsResponseSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import type { AnnouncedEvent } from "@muster/contracts/muster/events/v1/events_events_pb";
import type { TrackedEventSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, type TrackedEventId } from "@muster/core";
import { AppError } from "@muster/errors";
import { catchUp, cursorAt, cursorFromNumbers, cursorToNumbers, type TailCursor } from "@muster/outbox";
import type { CallContext, ServerStreamHandler } from "@muster/rpc";
import { eventToProto } from "../event-storage/event-proto.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import { TailFilter } from "./tail-filter.ts";

export function tailEvents(deps: EventsDeps): ServerStreamHandler<typeof EventService.method.tailEvents> {
  return (request, context) => tail(deps, request, context);
}

async function* tail(
  deps: EventsDeps,
  request: TailEventsRequest,
  context: CallContext,
): AsyncGenerator<TailEventsResponse> {
  const { organizationId, signal } = context;
  const detach = deps.tails.attach(organizationId);
  try {
    const scope = JSON.stringify(["tail", organizationId]);
    const cursor = await startOf(deps, scope, request.resumeToken);
    // Opened after the start is fixed, so that the stream contains every later merge.
    const filter = await TailFilter.open(deps.database.reader, organizationId, request);
    const response = (event?: MessageInitShape<typeof TrackedEventSchema>): TailEventsResponse =>
      create(TailEventsResponseSchema, {
        ...(event && { event }),
        resumeToken: deps.pageTokens.seal(scope, cursorToNumbers(cursor)),
      });
    yield response();
    for (;;) {
      const heads = await deps.tails.waitBeyond(cursor.positions, signal);
      if (heads === undefined) return;
      // A partly returned message is finished first, because a token stores the offset within one message
      // only.
      for (const shard of [cursor.shard, ...heads.keys()]) {
        for await (const item of catchUp(deps.tails, cursor, shard, heads[shard] ?? 0)) {
          const event = await filter.accept(item);
          if (event !== undefined) yield response(announcedToProto(event));
        }
      }
    }
  } finally {
    detach();
  }
}

async function startOf(deps: EventsDeps, scope: string, resumeToken: string): Promise<TailCursor> {
  const heads = await deps.tails.positions();
  if (resumeToken === "") return cursorAt(heads);
  const cursor = cursorFromNumbers(deps.pageTokens.open(scope, resumeToken) ?? [], heads);
  if (cursor === undefined) throw new AppError("POSITION_INVALID");
  return cursor;
}

function announcedToProto(event: AnnouncedEvent): MessageInitShape<typeof TrackedEventSchema> {
  const profileId = bytesToUuid<ProfileId>(event.profileId);
  return eventToProto({
    organizationId: bytesToUuid<OrganizationId>(event.organizationId),
    id: bytesToUuid<TrackedEventId>(event.id),
    profileId,
    rootId: profileId,
    name: event.name,
    occurredMs: Number(event.occurredMs),
    receivedMs: Number(event.receivedMs),
    clientEventId: event.clientEventId === "" ? undefined : event.clientEventId,
    properties: event.properties,
  });
}
