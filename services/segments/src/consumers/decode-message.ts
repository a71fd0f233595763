// Opens the domain events of the events service: which profiles a message is about, and what they did.
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
import { PoisonMessage } from "@muster/outbox";
import type { ProfileKey } from "../backfills/backfill-store.ts";
import type { DerivationReason } from "../backfills/derivation-reason.ts";
import type { EngineEvent, EngineProfile } from "../engine/profile-state.ts";

const TRACKED_EVENTS_RECORDED = "muster.events.tracked_event.recorded.v1";
const PROFILE_CHANGED = "muster.events.profile.changed.v1";
const PROFILE_MERGED = "muster.events.profile.merged.v1";
const PROFILE_UNMERGED = "muster.events.profile.unmerged.v1";
const PROFILE_ERASED = "muster.events.profile.erased.v1";

export interface ProfileEvent extends EngineEvent {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
  readonly receivedMs: number;
}

/** A profile that was made or changed. */
export interface ChangedProfile extends ProfileKey, EngineProfile {}

/** A profile that stands for another person from here on, or for none. */
export interface ChangedPerson extends ProfileKey {
  readonly reason: Exclude<DerivationReason, "doubt">;
  /** Of one that was erased: what is reported to. */
  readonly erasureId: string | undefined;
}

/** Those of these persons that were erased. */
export function erasedOf(
  persons: readonly ChangedPerson[],
): (ChangedPerson & { readonly erasureId: string })[] {
  return persons.flatMap((person) => {
    const { erasureId } = person;
    return erasureId === undefined ? [] : [{ ...person, erasureId }];
  });
}

export interface DecodedMessage {
  readonly shard: number;
  readonly position: number;
  readonly events: readonly ProfileEvent[];
  readonly profiles: readonly ChangedProfile[];
  /** Those of the message's shard. */
  readonly persons: readonly ChangedPerson[];
}

/** Throws PoisonMessage for what no one can read. Types not known here are for others: empty. */
export function decodeMessage(envelope: Envelope): DecodedMessage {
  try {
    const { events, profiles, persons } = decodeData(envelope);
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
      persons: persons.filter((person) => person.shard === shard),
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

/** What a message of the type holds, if it is one that is read here. */
export function receivedSchema(type: string): DescMessage | undefined {
  return schemas[type];
}

/** The engine's name of an event: its id, compactly. */
export function eventIdText(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("base64url");
}

interface MessageData {
  readonly events: readonly AnnouncedEvent[];
  readonly profiles: readonly AnnouncedProfile[];
  readonly persons: readonly ChangedPerson[];
}

function decodeData({ type, data }: Envelope): MessageData {
  switch (type) {
    case TRACKED_EVENTS_RECORDED: {
      const { events, newProfiles } = fromBinary(TrackedEventsRecordedSchema, data);
      // An erased event leaves an empty place.
      const kept = events.filter(({ organizationId }) => organizationId.length > 0);
      return { events: kept, profiles: newProfiles, persons: [] };
    }
    case PROFILE_CHANGED: {
      const { profile } = fromBinary(ProfileChangedSchema, data);
      return { events: [], profiles: profile === undefined ? [] : [profile], persons: [] };
    }
    default:
      return { events: [], profiles: [], persons: decodePersons(type, data) };
  }
}

function decodePersons(type: string, data: Uint8Array): ChangedPerson[] {
  switch (type) {
    case PROFILE_MERGED: {
      const { organizationId, profileId, intoProfileId } = fromBinary(ProfileMergedSchema, data);
      return [
        personOf(organizationId, profileId, "merged"),
        personOf(organizationId, intoProfileId, "merge"),
      ];
    }
    case PROFILE_UNMERGED: {
      const { organizationId, profileId, fromProfileId } = fromBinary(ProfileUnmergedSchema, data);
      return [profileId, fromProfileId].map((id) => personOf(organizationId, id, "merge"));
    }
    case PROFILE_ERASED: {
      const { organizationId, profileId, erasureId } = fromBinary(ProfileErasedSchema, data);
      return [{ ...personOf(organizationId, profileId, "erased"), erasureId: toUuid(erasureId) }];
    }
    default:
      return [];
  }
}

function personOf(
  organization: Uint8Array,
  profile: Uint8Array,
  reason: ChangedPerson["reason"],
): ChangedPerson {
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

/** Remembers the last id: the events of a message are mostly of one organisation. */
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
