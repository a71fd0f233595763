// Tests the erasure of persons from encoded domain events: only their data is removed, in every form of the
// ids.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  BatchGetProfilesRequestSchema,
  ReportErasureRequestSchema,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { BatchRecordEventsResponseSchema } from "@muster/contracts/muster/events/v1/event_service_pb";
import {
  AnnouncedEventSchema,
  AnnouncedProfileSchema,
  ProfileChangedSchema,
  ProfileMergedSchema,
  TrackedEventsRecordedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import {
  MembershipChangeSchema,
  MembershipsChangedSchema,
} from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { describe, expect, test } from "vitest";
import { eraseSubjects, type Subjects } from "./erase-subjects.ts";

const OURS = "01900000-0000-7000-8000-00000000000a" as OrganizationId;
const THEIRS = "01900000-0000-7000-8000-00000000000b" as OrganizationId;
const ADA = "01900000-0000-7000-8000-0000000000a1" as ProfileId;
const BOB = "01900000-0000-7000-8000-0000000000b0" as ProfileId;
const EVE = "01900000-0000-7000-8000-0000000000e5" as ProfileId;

const ada: Subjects = { organizationId: OURS, profileIds: new Set([ADA]) };

function profile(id: ProfileId, organization = OURS, traits = `{"of":"${id}"}`) {
  const ids = { organizationId: uuidToBytes(organization), profileId: uuidToBytes(id) };
  return create(AnnouncedProfileSchema, { ...ids, createTimeMs: 1n, traits });
}

function event(id: ProfileId, name: string, organization = OURS) {
  const ids = { organizationId: uuidToBytes(organization), profileId: uuidToBytes(id) };
  return create(AnnouncedEventSchema, { ...ids, id: uuidToBytes(EVE), name, properties: "{}" });
}

describe("nested messages", () => {
  const message = create(TrackedEventsRecordedSchema, {
    newProfiles: [profile(ADA), profile(BOB), profile(ADA, THEIRS)],
    events: [event(BOB, "b1"), event(ADA, "a1"), event(ADA, "a2"), event(BOB, "b2")],
  });
  const bytes = toBinary(TrackedEventsRecordedSchema, message);

  test("messages about the person are removed; the others stay unchanged and in order", () => {
    const left = eraseSubjects(TrackedEventsRecordedSchema, bytes, ada);
    const expected = create(TrackedEventsRecordedSchema, {
      newProfiles: [profile(BOB), profile(ADA, THEIRS)],
      events: [event(BOB, "b1"), event(BOB, "b2")],
    });
    expect(left).toEqual(toBinary(TrackedEventsRecordedSchema, expected));
  });

  test("several persons at once; a message about them alone becomes empty", () => {
    const both: Subjects = { organizationId: OURS, profileIds: new Set([ADA, BOB]) };
    const own = create(TrackedEventsRecordedSchema, { events: [event(BOB, "b"), event(ADA, "a")] });
    expect(
      eraseSubjects(TrackedEventsRecordedSchema, toBinary(TrackedEventsRecordedSchema, own), both),
    ).toEqual(new Uint8Array());
  });

  test("a message about other persons is not rewritten", () => {
    const eve: Subjects = { organizationId: OURS, profileIds: new Set([EVE]) };
    // The message contains EVE as the id of an event, which is not a subject.
    expect(eraseSubjects(TrackedEventsRecordedSchema, bytes, eve)).toBeUndefined();
    const absent: Subjects = { organizationId: THEIRS, profileIds: new Set([BOB]) };
    expect(eraseSubjects(TrackedEventsRecordedSchema, bytes, absent)).toBeUndefined();
  });

  test("a membership that contains only the id is removed completely", () => {
    const change = (id: ProfileId) =>
      create(MembershipChangeSchema, { organizationId: uuidToBytes(OURS), profileId: uuidToBytes(id) });
    const changed = create(MembershipsChangedSchema, { changes: [change(ADA), change(BOB)] });
    const left = eraseSubjects(MembershipsChangedSchema, toBinary(MembershipsChangedSchema, changed), ada);
    const expected = create(MembershipsChangedSchema, { changes: [change(BOB)] });
    expect(left).toEqual(toBinary(MembershipsChangedSchema, expected));
  });

  test("the only message of a field", () => {
    const changed = toBinary(ProfileChangedSchema, create(ProfileChangedSchema, { profile: profile(ADA) }));
    expect(eraseSubjects(ProfileChangedSchema, changed, ada)).toEqual(new Uint8Array());
  });

  test("ids as text", () => {
    const results = create(BatchRecordEventsResponseSchema, {
      results: [
        { index: 0, profileId: BOB, eventId: "b" },
        { index: 1, profileId: ADA, eventId: "a" },
      ],
    });
    const left = eraseSubjects(
      BatchRecordEventsResponseSchema,
      toBinary(BatchRecordEventsResponseSchema, results),
      ada,
    );
    expect(Buffer.from(left ?? []).includes(ADA)).toBe(false);
    expect(fromBinary(BatchRecordEventsResponseSchema, left ?? new Uint8Array()).results).toHaveLength(1);
  });
});

describe("a message whose own subject is the person", () => {
  test("stays if it contains only ids, because consumers need it", () => {
    const merged = create(ProfileMergedSchema, {
      organizationId: uuidToBytes(OURS),
      profileId: uuidToBytes(ADA),
      intoProfileId: uuidToBytes(BOB),
    });
    expect(eraseSubjects(ProfileMergedSchema, toBinary(ProfileMergedSchema, merged), ada)).toBeUndefined();
  });

  test("keeps ids and loses content, counts included", () => {
    const left = eraseSubjects(
      AnnouncedEventSchema,
      toBinary(AnnouncedEventSchema, { ...event(ADA, "x"), occurredMs: 7n }),
      ada,
    );
    const expected = { ...event(ADA, ""), properties: "" };
    expect(left).toEqual(toBinary(AnnouncedEventSchema, expected));
  });

  test("stays if it belongs to another organization", () => {
    const bytes = toBinary(AnnouncedEventSchema, event(ADA, "x", THEIRS));
    expect(eraseSubjects(AnnouncedEventSchema, bytes, ada)).toBeUndefined();
  });

  test("a nested message inherits the organization of the enclosing message", () => {
    const request = (organization: OrganizationId) =>
      toBinary(
        BatchGetProfilesRequestSchema,
        create(BatchGetProfilesRequestSchema, {
          organizationId: uuidToBytes(organization),
          profileIds: [uuidToBytes(BOB), uuidToBytes(ADA)],
        }),
      );
    const left = eraseSubjects(BatchGetProfilesRequestSchema, request(OURS), ada);
    expect(fromBinary(BatchGetProfilesRequestSchema, left ?? new Uint8Array()).profileIds).toHaveLength(1);
    expect(eraseSubjects(BatchGetProfilesRequestSchema, request(THEIRS), ada)).toBeUndefined();
  });
});

test("a subject id of invalid length matches no profile", () => {
  const report = create(ReportErasureRequestSchema, {
    profileId: Buffer.concat([uuidToBytes(ADA), Buffer.of(1)]),
  });
  expect(
    eraseSubjects(ReportErasureRequestSchema, toBinary(ReportErasureRequestSchema, report), ada),
  ).toBeUndefined();
});
