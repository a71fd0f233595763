// TailEvents: the organisation's events as they are committed. The first answer says that the tail is
// attached; every answer carries a token to go on after it.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type EventService,
  type TailEventsRequest,
  type TailEventsResponse,
  TailEventsResponseSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import type { AnnouncedEvent } from "@muster/contracts/muster/events/v1/events_events_pb";
import type { TrackedEventSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import {
  bytesToUuid,
  type OrganizationId,
  type ProfileId,
  SHARD_COUNT,
  type TrackedEventId,
  uuidToBytes,
} from "@muster/core";
import { AppError } from "@muster/errors";
import type { CallContext, ServerStreamHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { requireProfileId } from "../profiles/profile-proto.ts";
import { hasProfile } from "../profiles/profile-store.ts";
import { eventToProto } from "./event-proto.ts";

export function tailEvents(deps: EventsDeps): ServerStreamHandler<typeof EventService.method.tailEvents> {
  return (request, context) => tail(deps, request, context);
}

async function* tail(
  deps: EventsDeps,
  request: TailEventsRequest,
  context: CallContext,
): AsyncGenerator<TailEventsResponse> {
  const { organizationId, signal } = context;
  const isWanted = await filterOf(deps, request, organizationId);
  const detach = deps.tails.attach(organizationId);
  try {
    const scope = JSON.stringify(["tail", organizationId]);
    const cursor = await startOf(deps, scope, request.resumeToken);
    const answer = (event?: MessageInitShape<typeof TrackedEventSchema>): TailEventsResponse =>
      create(TailEventsResponseSchema, {
        ...(event && { event }),
        resumeToken: deps.pageTokens.seal(scope, [...cursor.positions, cursor.shard, cursor.offset]),
      });
    yield answer();
    for (;;) {
      const heads = await deps.tails.beyond(cursor.positions, signal);
      if (heads === undefined) return;
      // A message begun before a resume is finished first: a token has room for one.
      for (const shard of [cursor.shard, ...heads.keys()]) {
        for await (const event of catchUp(deps, cursor, shard, heads[shard] ?? 0)) {
          if (isWanted(event)) yield answer(announcedToProto(event));
        }
      }
    }
  } finally {
    detach();
  }
}

/** All before `positions` has been told, and of the next message of `shard` the first `offset` events. */
interface Cursor {
  readonly positions: number[];
  shard: number;
  offset: number;
}

async function startOf(deps: EventsDeps, scope: string, resumeToken: string): Promise<Cursor> {
  const heads = await deps.tails.positions();
  if (resumeToken === "") return { positions: heads, shard: 0, offset: 0 };
  const numbers = deps.pageTokens.open(scope, resumeToken) ?? [];
  const positions = numbers.slice(0, SHARD_COUNT).map(Number);
  const isOurs =
    numbers.length === SHARD_COUNT + 2 && positions.every((at, shard) => at <= (heads[shard] ?? 0));
  if (!isOurs) throw new AppError("POSITION_INVALID");
  return { positions, shard: Number(numbers[SHARD_COUNT]), offset: Number(numbers[SHARD_COUNT + 1]) };
}

/** The events of one shard up to `head`; moves the cursor past each before it is handed out. */
async function* catchUp(
  deps: EventsDeps,
  cursor: Cursor,
  shard: number,
  head: number,
): AsyncGenerator<AnnouncedEvent> {
  for (let at = cursor.positions[shard] ?? 0; at < head; at = cursor.positions[shard] ?? 0) {
    const messages = await deps.tails.read(shard, at);
    if (messages[0]?.position !== at + 1) {
      throw new AppError("POSITION_INVALID", {
        message: "The position is too old: its events are no longer kept.",
      });
    }
    for (const message of messages) {
      const begun = cursor.shard === shard ? cursor.offset : 0;
      cursor.shard = shard;
      for (const [index, event] of message.events.entries()) {
        cursor.offset = index + 1;
        if (index >= begun) yield event;
      }
      cursor.positions[shard] = message.position;
      cursor.offset = 0;
    }
  }
}

async function filterOf(
  deps: EventsDeps,
  request: TailEventsRequest,
  organizationId: OrganizationId,
): Promise<(event: AnnouncedEvent) => boolean> {
  const organization = uuidToBytes(organizationId);
  const names = request.names.length > 0 ? new Set(request.names) : undefined;
  let profile: Buffer | undefined;
  if (request.profileId !== undefined) {
    const profileId = requireProfileId(request.profileId);
    const isKnown = await hasProfile(deps.database.reader, organizationId, profileId);
    if (!isKnown) throw new AppError("PROFILE_NOT_FOUND");
    profile = uuidToBytes(profileId);
  }
  return (event) =>
    organization.equals(event.organizationId) &&
    (names === undefined || names.has(event.name)) &&
    (profile === undefined || profile.equals(event.profileId));
}

function announcedToProto(event: AnnouncedEvent): MessageInitShape<typeof TrackedEventSchema> {
  return eventToProto({
    organizationId: bytesToUuid<OrganizationId>(event.organizationId),
    id: bytesToUuid<TrackedEventId>(event.id),
    profileId: bytesToUuid<ProfileId>(event.profileId),
    name: event.name,
    occurredMs: Number(event.occurredMs),
    receivedMs: Number(event.receivedMs),
    clientEventId: event.clientEventId === "" ? undefined : event.clientEventId,
    properties: event.properties,
  });
}
