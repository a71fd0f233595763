// Tests how published messages change when a person in the message is erased.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AnnouncedEventSchema,
  TrackedEventsRecordedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { type OrganizationId, type ProfileId, randomIds, uuidToBytes } from "@muster/core";
import { expect, test } from "vitest";
import { eraseFromMessage } from "./erase-from-message.ts";

const TYPE = "muster.events.tracked_event.recorded.v1";
const organizationId = randomIds.next<OrganizationId>(0);
const [erasedId, otherId] = [randomIds.next<ProfileId>(0), randomIds.next<ProfileId>(0)];
const erased = { organizationId, profileIds: new Set([erasedId]), mergeTargetIds: new Set<ProfileId>() };

function event(name: string, profileId: ProfileId, recordedProfileId?: ProfileId) {
  return create(AnnouncedEventSchema, {
    organizationId: uuidToBytes(organizationId),
    profileId: uuidToBytes(profileId),
    id: uuidToBytes(randomIds.next(0)),
    name,
    properties: "{}",
    ...(recordedProfileId && { recordedProfileId: uuidToBytes(recordedProfileId) }),
  });
}

function recorded(events: readonly ReturnType<typeof event>[]): Uint8Array {
  return toBinary(TrackedEventsRecordedSchema, create(TrackedEventsRecordedSchema, { events: [...events] }));
}

test("erased events leave empty entries, so that the positions of other events do not change", () => {
  const data = recorded([event("one", erasedId), event("two", otherId), event("three", otherId, erasedId)]);
  const rest = eraseFromMessage(TYPE, data, erased);
  const { events } = fromBinary(TrackedEventsRecordedSchema, rest ?? data);
  expect(events.map(({ name }) => name)).toEqual(["", "two", ""]);
  expect(Buffer.from(rest ?? data).includes(uuidToBytes(erasedId))).toBe(false);
  expect(eraseFromMessage(TYPE, rest ?? data, erased)).toBeUndefined();
});

test("messages without the person or of another organization stay unchanged", () => {
  const data = recorded([event("two", otherId)]);
  expect(eraseFromMessage(TYPE, data, erased)).toBeUndefined();
  const elsewhere = { ...erased, organizationId: randomIds.next<OrganizationId>(0) };
  expect(eraseFromMessage(TYPE, recorded([event("one", erasedId)]), elsewhere)).toBeUndefined();
});
