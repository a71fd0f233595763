// Tests the subjects of messages, at any depth.
import { create } from "@bufbuild/protobuf";
import { BatchGetProfilesRequestSchema } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import {
  BatchRecordEventsResponseSchema,
  RecordEventRequestSchema,
  RecordEventResponseSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { GetProfileRequestSchema } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { CreateSegmentRequestSchema } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { uuidToBytes } from "@muster/core";
import { expect, test } from "vitest";
import { subjectsOf } from "./subjects.ts";

const ADA = "01900000-0000-7000-8000-0000000000a1";
const BOB = "01900000-0000-7000-8000-0000000000b0";

test("finds the subjects of a response", () => {
  const response = create(RecordEventResponseSchema, { event: { id: BOB, profileId: ADA } });
  expect(subjectsOf(RecordEventResponseSchema, response)).toEqual([ADA]);
});

test("finds each subject of a list once", () => {
  const results = [{ profileId: ADA }, {}, { profileId: BOB }, { profileId: ADA }];
  const response = create(BatchRecordEventsResponseSchema, { results });
  expect(subjectsOf(BatchRecordEventsResponseSchema, response)).toEqual([ADA, BOB]);
});

test("finds only the selected field of a oneof", () => {
  const byProfile = create(RecordEventRequestSchema, {
    event: { identity: { case: "profileId", value: ADA } },
  });
  const byUser = create(RecordEventRequestSchema, { event: { identity: { case: "userId", value: ADA } } });
  expect(subjectsOf(RecordEventRequestSchema, byProfile)).toEqual([ADA]);
  expect(subjectsOf(RecordEventRequestSchema, byUser)).toEqual([]);
});

test("finds ids in bytes", () => {
  const request = create(BatchGetProfilesRequestSchema, { profileIds: [uuidToBytes(ADA), Buffer.of(1, 2)] });
  expect(subjectsOf(BatchGetProfilesRequestSchema, request)).toEqual([ADA]);
});

test("ignores invalid ids from callers", () => {
  const request = create(GetProfileRequestSchema, { profileId: "ada@example.com" });
  expect(subjectsOf(GetProfileRequestSchema, request)).toEqual([]);
});

test("handles a recursive type without subjects", () => {
  const rule = { kind: { case: "not" as const, value: {} } };
  expect(subjectsOf(CreateSegmentRequestSchema, create(CreateSegmentRequestSchema, { rule }))).toEqual([]);
});
