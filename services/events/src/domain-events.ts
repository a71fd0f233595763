// The domain events this service announces, encoded and cut to the size of a message.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import {
  type AnnouncedEvent,
  AnnouncedEventSchema,
  type AnnouncedProfile,
  AnnouncedProfileSchema,
  ProfileChangedSchema,
  TrackedEventsRecordedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { MESSAGE_BYTES_MAX, shardOf, uuidToBytes } from "@muster/core";
import type { OutboxDraft } from "@muster/outbox";
import type { ShardShare } from "./ingest/plan-batch.ts";
import type { Profile } from "./profiles/profile.ts";
import { BytesOnce } from "./tracked-events/bytes-once.ts";
import type { TrackedEvent } from "./tracked-events/tracked-event.ts";

const TRACKED_EVENTS_RECORDED = "muster.events.tracked_event.recorded.v1";
const PROFILE_CHANGED = "muster.events.profile.changed.v1";

/** Room for the envelope, and for estimates that are a little short. */
const DATA_BYTES_MAX = MESSAGE_BYTES_MAX - 16 * 1024;
/** Ids, times, tags and lengths of one event or profile. */
const ITEM_OVERHEAD_BYTES = 96;

/** One message for each shard's share, or several where it would be too large. */
export function trackedEventsRecorded(shares: readonly ShardShare[]): OutboxDraft[] {
  const ids = new BytesOnce();
  return shares.flatMap((share) => draftsOfShare(share, ids));
}

/** The tracked events that a message announces. */
export function eventsOf({ type, data }: Envelope): readonly AnnouncedEvent[] {
  return type === TRACKED_EVENTS_RECORDED ? fromBinary(TrackedEventsRecordedSchema, data).events : [];
}

export function profileChanged(profile: Profile, traceParent: string): OutboxDraft {
  return {
    shard: shardOf(profile.organizationId, profile.id),
    type: PROFILE_CHANGED,
    data: toBinary(ProfileChangedSchema, create(ProfileChangedSchema, { profile: announceProfile(profile) })),
    items: 0,
    traceParent,
  };
}

function draftsOfShare(share: ShardShare, ids: BytesOnce): OutboxDraft[] {
  const drafts: OutboxDraft[] = [];
  let newProfiles: AnnouncedProfile[] = [];
  let events: AnnouncedEvent[] = [];
  let bytes = 0;
  const close = (): void => {
    const message = create(TrackedEventsRecordedSchema);
    message.newProfiles = newProfiles;
    message.events = events;
    drafts.push({
      shard: share.shard,
      type: TRACKED_EVENTS_RECORDED,
      data: toBinary(TrackedEventsRecordedSchema, message),
      items: events.length,
      traceParent: share.traceParent,
    });
    newProfiles = [];
    events = [];
    bytes = 0;
  };
  const makeRoom = (itemBytes: number): void => {
    if (bytes > 0 && bytes + itemBytes > DATA_BYTES_MAX) close();
    bytes += itemBytes;
  };
  for (const profile of share.newProfiles) {
    makeRoom(ITEM_OVERHEAD_BYTES + Buffer.byteLength(profile.traits));
    newProfiles.push(announceProfile(profile));
  }
  for (const event of share.events) {
    makeRoom(bytesOfEvent(event));
    events.push(announceEvent(event, ids));
  }
  close();
  return drafts;
}

function bytesOfEvent(event: TrackedEvent): number {
  const idCharacters = event.name.length + (event.clientEventId?.length ?? 0);
  return ITEM_OVERHEAD_BYTES + Buffer.byteLength(event.properties) + 3 * idCharacters;
}

function announceProfile(profile: Profile): AnnouncedProfile {
  const announced = create(AnnouncedProfileSchema);
  announced.organizationId = uuidToBytes(profile.organizationId);
  announced.profileId = uuidToBytes(profile.id);
  announced.createTimeMs = BigInt(profile.createMs);
  announced.traits = profile.traits;
  return announced;
}

function announceEvent(event: TrackedEvent, ids: BytesOnce): AnnouncedEvent {
  const announced = create(AnnouncedEventSchema);
  announced.organizationId = ids.uuid(event.organizationId);
  announced.profileId = ids.uuid(event.rootId);
  announced.id = uuidToBytes(event.id);
  announced.name = event.name;
  announced.occurredMs = BigInt(event.occurredMs);
  announced.receivedMs = BigInt(event.receivedMs);
  announced.properties = event.properties;
  announced.clientEventId = event.clientEventId ?? "";
  return announced;
}
