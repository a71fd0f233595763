// Removes erased profiles from messages that this service published.
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type AnnouncedEvent,
  AnnouncedEventSchema,
  type AnnouncedProfile,
  ProfileChangedSchema,
  TrackedEventsRecordedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { assert, bytesToUuid, type ProfileId } from "@muster/core";
import { eraseSubjects, type Subjects, subjectsOf } from "@muster/privacy";
import { domainEventSchema } from "../domain-events/domain-events.ts";

/** The erased profiles of an organization, and the profiles that published data about them. */
export interface ErasedSubjects extends Subjects {
  /**
   * Profiles into which the erased profiles were merged in the past. Published versions of a merge target
   * show traits of the erased person.
   */
  readonly mergeTargetIds: ReadonlySet<ProfileId>;
}

/**
 * Returns the data of a message without the erased profiles, or undefined when the message does not mention
 * them. An erased event leaves an empty entry, because tails count the events of a message.
 */
export function eraseFromMessage(
  type: string,
  data: Uint8Array,
  erased: ErasedSubjects,
): Uint8Array | undefined {
  const schema = domainEventSchema(type);
  assert(schema !== undefined, `a message of an unknown type cannot be erased: ${type}`);
  const emptied = schema === TrackedEventsRecordedSchema ? blankEvents(data, erased) : undefined;
  const erasedData = eraseSubjects(schema, emptied ?? data, erased) ?? emptied;
  return removeMergeTargetProfiles(schema, erasedData ?? data, erased) ?? erasedData;
}

function blankEvents(data: Uint8Array, erased: ErasedSubjects): Uint8Array | undefined {
  const message = fromBinary(TrackedEventsRecordedSchema, data);
  const events = message.events.map((event) =>
    isAbout(event, erased) ? create(AnnouncedEventSchema) : event,
  );
  if (events.every((event, index) => event === message.events[index])) return undefined;
  message.events = events;
  return toBinary(TrackedEventsRecordedSchema, message);
}

function isAbout(event: AnnouncedEvent, { organizationId, profileIds }: ErasedSubjects): boolean {
  if (event.organizationId.length === 0 || bytesToUuid(event.organizationId) !== organizationId) return false;
  return subjectsOf(AnnouncedEventSchema, event).some((id) => profileIds.has(id));
}

function removeMergeTargetProfiles(
  schema: DescMessage,
  data: Uint8Array,
  erased: ErasedSubjects,
): Uint8Array | undefined {
  if (erased.mergeTargetIds.size === 0) return undefined;
  const isMergeTargetProfile = ({ organizationId, profileId }: AnnouncedProfile): boolean =>
    bytesToUuid(organizationId) === erased.organizationId &&
    erased.mergeTargetIds.has(bytesToUuid<ProfileId>(profileId));
  if (schema === ProfileChangedSchema) {
    const { profile } = fromBinary(ProfileChangedSchema, data);
    return profile !== undefined && isMergeTargetProfile(profile) ? Buffer.alloc(0) : undefined;
  }
  if (schema !== TrackedEventsRecordedSchema) return undefined;
  const message = fromBinary(TrackedEventsRecordedSchema, data);
  const kept = message.newProfiles.filter((profile) => !isMergeTargetProfile(profile));
  if (kept.length === message.newProfiles.length) return undefined;
  message.newProfiles = kept;
  return toBinary(TrackedEventsRecordedSchema, message);
}
