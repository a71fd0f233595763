// Encodes the domain events of this service and splits them into messages of bounded size.
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import {
  AlertsFiredSchema,
  type AnnouncedEvent,
  AnnouncedEventSchema,
  type AnnouncedProfile,
  AnnouncedProfileSchema,
  ProfileChangedSchema,
  ProfileErasedSchema,
  type ProfileMerged,
  ProfileMergedSchema,
  type ProfileUnmerged,
  ProfileUnmergedSchema,
  TrackedEventsRecordedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { MESSAGE_BYTES_MAX, type OrganizationId, type ProfileId, shardOf, uuidToBytes } from "@muster/core";
import { domainEventType, type OutboxDraft } from "@muster/outbox";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";
import { UuidBytesCache } from "../event-storage/uuid-bytes-cache.ts";
import type { Profile } from "../profile-storage/profile.ts";

const TRACKED_EVENTS_RECORDED = domainEventType(TrackedEventsRecordedSchema);
const PROFILE_CHANGED = domainEventType(ProfileChangedSchema);
const PROFILE_MERGED = domainEventType(ProfileMergedSchema);
const PROFILE_ERASED = domainEventType(ProfileErasedSchema);
const PROFILE_UNMERGED = domainEventType(ProfileUnmergedSchema);

/** Leaves room for the envelope and for inexact size estimates. */
const DATA_BYTES_MAX = MESSAGE_BYTES_MAX - 16 * 1024;
/** Estimated bytes of the ids, times, tags and lengths of one event or profile. */
const ITEM_OVERHEAD_BYTES = 96;

/** The new profiles and events of one shard, in the order of publication. */
export interface ShardChanges {
  readonly shard: number;
  readonly newProfiles: Profile[];
  readonly events: TrackedEvent[];
  /** The trace of the first contributing request that has one. */
  traceParent: string;
}

/** An item of a domain event that tails read: an event, a merge or an undone merge. */
export type TailItem = AnnouncedEvent | ProfileMerged | ProfileUnmerged;

/** Encodes one message per shard, or several if a message would be too large. */
export function trackedEventsRecorded(shardChanges: readonly ShardChanges[]): OutboxDraft[] {
  const ids = new UuidBytesCache();
  return shardChanges.flatMap((changes) => draftsOfShard(changes, ids));
}

/** Returns the items of a message that tails read, in message order. */
export function tailItemsOf({ type, data }: Envelope): readonly TailItem[] {
  if (type === TRACKED_EVENTS_RECORDED) return fromBinary(TrackedEventsRecordedSchema, data).events;
  if (type === PROFILE_MERGED) return [fromBinary(ProfileMergedSchema, data)];
  if (type === PROFILE_UNMERGED) return [fromBinary(ProfileUnmergedSchema, data)];
  return [];
}

export const ALERT_FIRED = domainEventType(AlertsFiredSchema);

const SCHEMAS: ReadonlyMap<string, DescMessage> = new Map<string, DescMessage>([
  [TRACKED_EVENTS_RECORDED, TrackedEventsRecordedSchema],
  [PROFILE_CHANGED, ProfileChangedSchema],
  [PROFILE_ERASED, ProfileErasedSchema],
  [PROFILE_MERGED, ProfileMergedSchema],
  [PROFILE_UNMERGED, ProfileUnmergedSchema],
  [ALERT_FIRED, AlertsFiredSchema],
]);

/** Returns the message schema of a domain event type of this service. */
export function domainEventSchema(type: string): DescMessage | undefined {
  return SCHEMAS.get(type);
}

export function profileChanged(profile: Profile, traceParent: string): OutboxDraft {
  return {
    shard: shardOf(profile.organizationId, profile.id),
    type: PROFILE_CHANGED,
    data: toBinary(
      ProfileChangedSchema,
      create(ProfileChangedSchema, { profile: toAnnouncedProfile(profile) }),
    ),
    items: 0,
    traceParent,
  };
}

export interface ProfilePair {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
  /** The current or former root profile of both. */
  readonly rootId: ProfileId;
  readonly traceParent: string;
}

/** Returns one message per shard of the two profiles. */
export function profileMerged(pair: ProfilePair): OutboxDraft[] {
  const message = create(ProfileMergedSchema, {
    organizationId: uuidToBytes(pair.organizationId),
    profileId: uuidToBytes(pair.profileId),
    intoProfileId: uuidToBytes(pair.rootId),
  });
  return inShardsOf(pair, PROFILE_MERGED, toBinary(ProfileMergedSchema, message));
}

/** Returns one message per shard of the two profiles. */
export function profileUnmerged(pair: ProfilePair): OutboxDraft[] {
  const message = create(ProfileUnmergedSchema, {
    organizationId: uuidToBytes(pair.organizationId),
    profileId: uuidToBytes(pair.profileId),
    fromProfileId: uuidToBytes(pair.rootId),
  });
  return inShardsOf(pair, PROFILE_UNMERGED, toBinary(ProfileUnmergedSchema, message));
}

/** Returns the message in the profile's shard. No message about the profile may follow in this shard. */
export function profileErased(
  erasure: { readonly organizationId: OrganizationId; readonly id: string },
  profileId: ProfileId,
  traceParent: string,
): OutboxDraft {
  const message = create(ProfileErasedSchema, {
    organizationId: uuidToBytes(erasure.organizationId),
    profileId: uuidToBytes(profileId),
    erasureId: uuidToBytes(erasure.id),
  });
  const shard = shardOf(erasure.organizationId, profileId);
  return {
    shard,
    type: PROFILE_ERASED,
    items: 0,
    traceParent,
    data: toBinary(ProfileErasedSchema, message),
  };
}

/** Returns the shards in which these messages publish a merge or an undone merge. */
export function shardsOfIdentityChanges(drafts: readonly OutboxDraft[]): number[] {
  const changes = drafts.filter(({ type }) => type === PROFILE_MERGED || type === PROFILE_UNMERGED);
  return [...new Set(changes.map(({ shard }) => shard))];
}

function inShardsOf(pair: ProfilePair, type: string, data: Uint8Array): OutboxDraft[] {
  const shards = new Set([pair.profileId, pair.rootId].map((id) => shardOf(pair.organizationId, id)));
  return Array.from(shards, (shard) => ({ shard, type, data, items: 0, traceParent: pair.traceParent }));
}

function draftsOfShard(changes: ShardChanges, ids: UuidBytesCache): OutboxDraft[] {
  const drafts: OutboxDraft[] = [];
  let newProfiles: AnnouncedProfile[] = [];
  let events: AnnouncedEvent[] = [];
  let bytes = 0;
  const close = (): void => {
    const message = create(TrackedEventsRecordedSchema);
    message.newProfiles = newProfiles;
    message.events = events;
    drafts.push({
      shard: changes.shard,
      type: TRACKED_EVENTS_RECORDED,
      data: toBinary(TrackedEventsRecordedSchema, message),
      items: events.length,
      traceParent: changes.traceParent,
    });
    newProfiles = [];
    events = [];
    bytes = 0;
  };
  const closeIfFull = (itemBytes: number): void => {
    if (bytes > 0 && bytes + itemBytes > DATA_BYTES_MAX) close();
    bytes += itemBytes;
  };
  for (const profile of changes.newProfiles) {
    closeIfFull(ITEM_OVERHEAD_BYTES + Buffer.byteLength(profile.traits));
    newProfiles.push(toAnnouncedProfile(profile));
  }
  for (const event of changes.events) {
    closeIfFull(bytesOfEvent(event));
    events.push(toAnnouncedEvent(event, ids));
  }
  close();
  return drafts;
}

function bytesOfEvent(event: TrackedEvent): number {
  const idCharacters = event.name.length + (event.clientEventId?.length ?? 0);
  return ITEM_OVERHEAD_BYTES + Buffer.byteLength(event.properties) + 3 * idCharacters;
}

function toAnnouncedProfile(profile: Profile): AnnouncedProfile {
  const announced = create(AnnouncedProfileSchema);
  announced.organizationId = uuidToBytes(profile.organizationId);
  announced.profileId = uuidToBytes(profile.id);
  announced.createTimeMs = BigInt(profile.createMs);
  announced.traits = profile.traits;
  return announced;
}

function toAnnouncedEvent(event: TrackedEvent, ids: UuidBytesCache): AnnouncedEvent {
  const announced = create(AnnouncedEventSchema);
  announced.organizationId = ids.uuid(event.organizationId);
  announced.profileId = ids.uuid(event.rootId);
  announced.id = uuidToBytes(event.id);
  announced.name = event.name;
  announced.occurredMs = BigInt(event.occurredMs);
  announced.receivedMs = BigInt(event.receivedMs);
  announced.properties = event.properties;
  announced.clientEventId = event.clientEventId ?? "";
  if (event.profileId !== event.rootId) announced.recordedProfileId = ids.uuid(event.profileId);
  return announced;
}
