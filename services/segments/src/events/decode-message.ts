// Decodes domain events of the events service into tracked events, profiles and identity changes.

import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import {
  type AnnouncedEvent,
  type AnnouncedProfile,
  ProfileChangedSchema,
  ProfileErasedSchema,
  ProfileMergedSchema,
  ProfileUnmergedSchema,
  TrackedEventsRecordedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, shardOf } from "@muster/core";
import { domainEventType, PoisonMessage } from "@muster/outbox";
import type { EngineEvent, EngineProfile } from "../engine/state/apply-events.ts";
import type { ProfileKey } from "../profiles/profile-key.ts";
import type { RebuildReason } from "../profiles/rebuild-reason.ts";
import { eventIdText } from "./event-id.ts";

const TRACKED_EVENTS_RECORDED = domainEventType(TrackedEventsRecordedSchema);
const PROFILE_CHANGED = domainEventType(ProfileChangedSchema);
const PROFILE_MERGED = domainEventType(ProfileMergedSchema);
const PROFILE_UNMERGED = domainEventType(ProfileUnmergedSchema);
const PROFILE_ERASED = domainEventType(ProfileErasedSchema);

/** A tracked event of a profile. */
export interface ProfileEvent extends EngineEvent {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
  readonly receivedMs: number;
}

/** A profile that was created or changed. */
export interface UpdatedProfile extends ProfileKey, EngineProfile {}

/** A profile whose identity changed: merged, separated or erased. */
export interface IdentityChange extends ProfileKey {
  readonly reason: Exclude<RebuildReason, "stale">;
  /** Set for an erased profile. */
  readonly erasureId: string | undefined;
}

/** The erased profiles among the identity changes. */
export function erasuresIn(
  identityChanges: readonly IdentityChange[],
): (IdentityChange & { readonly erasureId: string })[] {
  return identityChanges.flatMap((identityChange) => {
    const { erasureId } = identityChange;
    return erasureId === undefined ? [] : [{ ...identityChange, erasureId }];
  });
}

/** The contents of one message. */
export interface DecodedMessage {
  readonly shard: number;
  readonly position: number;
  readonly events: readonly ProfileEvent[];
  readonly profiles: readonly UpdatedProfile[];
  /** Only changes of the message's own shard. */
  readonly identityChanges: readonly IdentityChange[];
}

/** Throws PoisonMessage for a message that cannot be decoded. Unknown types decode as empty. */
export function decodeMessage(envelope: Envelope): DecodedMessage {
  try {
    const { events, profiles, identityChanges } = decodeData(envelope);
    const { shard } = envelope;
    const ids = new UuidTexts();
    return {
      shard,
      position: Number(envelope.position),
      events: events.map((event) => toProfileEvent(event, ids)),
      profiles: profiles.map(({ organizationId, profileId, createTimeMs, traits }) => ({
        organizationId: ids.text(organizationId) as OrganizationId,
        shard,
        profileId: toUuid(profileId) as ProfileId,
        createMs: Number(createTimeMs),
        traits,
      })),
      identityChanges: identityChanges.filter((identityChange) => identityChange.shard === shard),
    };
  } catch (error) {
    throw new PoisonMessage(envelope, error);
  }
}

const schemas: Readonly<Record<string, DescMessage>> = {
  [TRACKED_EVENTS_RECORDED]: TrackedEventsRecordedSchema,
  [PROFILE_CHANGED]: ProfileChangedSchema,
  [PROFILE_MERGED]: ProfileMergedSchema,
  [PROFILE_UNMERGED]: ProfileUnmergedSchema,
  [PROFILE_ERASED]: ProfileErasedSchema,
};

/** The schema of a message type that this service consumes. */
export function messageSchema(type: string): DescMessage | undefined {
  return schemas[type];
}

interface MessageData {
  readonly events: readonly AnnouncedEvent[];
  readonly profiles: readonly AnnouncedProfile[];
  readonly identityChanges: readonly IdentityChange[];
}

function decodeData({ type, data }: Envelope): MessageData {
  switch (type) {
    case TRACKED_EVENTS_RECORDED: {
      const { events, newProfiles } = fromBinary(TrackedEventsRecordedSchema, data);
      // An erased event leaves an empty entry.
      const kept = events.filter(({ organizationId }) => organizationId.length > 0);
      return { events: kept, profiles: newProfiles, identityChanges: [] };
    }
    case PROFILE_CHANGED: {
      const { profile } = fromBinary(ProfileChangedSchema, data);
      return { events: [], profiles: profile === undefined ? [] : [profile], identityChanges: [] };
    }
    default:
      return { events: [], profiles: [], identityChanges: decodeIdentityChanges(type, data) };
  }
}

function decodeIdentityChanges(type: string, data: Uint8Array): IdentityChange[] {
  switch (type) {
    case PROFILE_MERGED: {
      const { organizationId, profileId, intoProfileId } = fromBinary(ProfileMergedSchema, data);
      return [
        identityChangeOf(organizationId, profileId, "merged"),
        identityChangeOf(organizationId, intoProfileId, "identity_changed"),
      ];
    }
    case PROFILE_UNMERGED: {
      const { organizationId, profileId, fromProfileId } = fromBinary(ProfileUnmergedSchema, data);
      return [profileId, fromProfileId].map((id) => identityChangeOf(organizationId, id, "identity_changed"));
    }
    case PROFILE_ERASED: {
      const { organizationId, profileId, erasureId } = fromBinary(ProfileErasedSchema, data);
      return [{ ...identityChangeOf(organizationId, profileId, "erased"), erasureId: toUuid(erasureId) }];
    }
    default:
      return [];
  }
}

function identityChangeOf(
  organization: Uint8Array,
  profile: Uint8Array,
  reason: IdentityChange["reason"],
): IdentityChange {
  const organizationId = toUuid(organization) as OrganizationId;
  const profileId = toUuid(profile) as ProfileId;
  const shard = shardOf(organizationId, profileId);
  return { organizationId, shard, profileId, reason, erasureId: undefined };
}

function toProfileEvent(event: AnnouncedEvent, ids: UuidTexts): ProfileEvent {
  return {
    organizationId: ids.text(event.organizationId) as OrganizationId,
    profileId: toUuid(event.profileId) as ProfileId,
    eventName: event.name,
    instant: [Number(event.occurredMs), eventIdText(event.id)],
    receivedMs: Number(event.receivedMs),
    properties: event.properties,
  };
}

/** Caches the last id, because most events of a message are of one organization. */
class UuidTexts {
  #last: Uint8Array = new Uint8Array();
  #text = "";

  text(bytes: Uint8Array): string {
    if (Buffer.compare(bytes, this.#last) !== 0) {
      this.#text = toUuid(bytes);
      this.#last = bytes;
    }
    return this.#text;
  }
}

function toUuid(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new TypeError("an id is 16 bytes");
  return bytesToUuid(bytes);
}
