// Converts tracked events to messages.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { TrackedEventSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import type { TrackedEvent } from "./tracked-event.ts";

/** Converts a tracked event to a message. The profile of the message is the root profile. */
export function eventToProto(event: TrackedEvent): MessageInitShape<typeof TrackedEventSchema> {
  return {
    id: event.id,
    eventId: event.clientEventId ?? event.id,
    profileId: event.rootId,
    name: event.name,
    properties: event.properties,
    timestamp: timestampFromMs(event.occurredMs),
    receiveTime: timestampFromMs(event.receivedMs),
  };
}

const FIRST_SECOND = -62_135_596_800; // 0001-01-01T00:00:00Z
const LAST_SECOND = 253_402_300_799; // 9999-12-31T23:59:59Z

/** Returns epoch ms, rounded down; undefined if the timestamp is not a valid RFC 3339 instant. */
export function msOfTimestamp({ seconds, nanos }: Timestamp): number | undefined {
  const wholeSeconds = Number(seconds);
  const isValid =
    wholeSeconds >= FIRST_SECOND && wholeSeconds <= LAST_SECOND && nanos >= 0 && nanos <= 999_999_999;
  return isValid ? wholeSeconds * 1000 + Math.floor(nanos / 1_000_000) : undefined;
}
