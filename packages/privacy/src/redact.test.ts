// Tests the parts of a message that logs can show.
import { create } from "@bufbuild/protobuf";
import { BatchGetProfilesRequestSchema } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import {
  BatchRecordEventsRequestSchema,
  ListEventsRequestSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { TrackedEventSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import { CreateApiKeyResponseSchema } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { RuleSchema } from "@muster/contracts/muster/segments/v1/rule_pb";
import { CreateSegmentRequestSchema } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { uuidToBytes } from "@muster/core";
import { expect, test } from "vitest";
import { redact } from "./redact.ts";

const ADA = "01900000-0000-7000-8000-0000000000a1";

test("keeps ids and timestamps, and hides activities", () => {
  const event = create(TrackedEventSchema, {
    id: ADA,
    eventId: "from the client",
    profileId: ADA,
    name: "clinic.visited",
    properties: '{"for":"tests"}',
    timestamp: { seconds: 5n, nanos: 7 },
  });
  expect(redact(TrackedEventSchema, event)).toEqual({
    id: ADA,
    event_id: "[redacted]",
    profile_id: ADA,
    name: "[redacted]",
    properties: "[redacted]",
    timestamp: { seconds: "5", nanos: 7 },
  });
});

test("hides a secret and shows the name of the key", () => {
  const response = create(CreateApiKeyResponseSchema, {
    apiKey: { name: "shop", scopes: ["*"] },
    secret: "mk_1",
  });
  expect(redact(CreateApiKeyResponseSchema, response)).toEqual({
    api_key: { id: "", name: "shop", prefix: "", scopes: ["*"] },
    secret: "[redacted]",
  });
});

test("hides invalid ids from callers", () => {
  const request = create(ListEventsRequestSchema, { profileId: "ada@example.com", name: ["a", "b"] });
  expect(redact(ListEventsRequestSchema, request)).toMatchObject({
    profile_id: "[redacted]",
    name: ["[redacted]", "[redacted]"],
  });
});

test("shows ids in bytes as ids", () => {
  const request = create(BatchGetProfilesRequestSchema, {
    organizationId: uuidToBytes(ADA),
    profileIds: [uuidToBytes(ADA), Buffer.of(1)],
  });
  expect(redact(BatchGetProfilesRequestSchema, request)).toEqual({
    organization_id: ADA,
    profile_ids: [ADA, "[redacted]"],
  });
});

test("truncates long texts, long lists and deep trees", () => {
  const request = create(CreateSegmentRequestSchema, { name: "x".repeat(1000) });
  expect(redact(CreateSegmentRequestSchema, request)).toEqual({ name: `${"x".repeat(128)}…` });

  const events = Array.from({ length: 5000 }, () => ({}));
  const batch = redact(BatchRecordEventsRequestSchema, create(BatchRecordEventsRequestSchema, { events }));
  expect((batch.events as unknown[]).slice(9)).toEqual([expect.any(Object), "and 4990 more"]);

  let rule = create(RuleSchema, { kind: { case: "inSegment", value: { segmentId: "deepest" } } });
  for (let level = 0; level < 100; level += 1)
    rule = create(RuleSchema, { kind: { case: "not", value: rule } });
  const shown = JSON.stringify(redact(RuleSchema, rule));
  expect(shown).toContain("…");
  expect(shown).not.toContain("deepest");
});
