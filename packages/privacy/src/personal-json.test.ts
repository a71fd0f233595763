// Tests the JSON that an export shows of a message.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  ExportedAmountsSchema,
  ExportedPageViewsSchema,
} from "@muster/contracts/muster/events/v1/exported_records_pb";
import { ProfileSchema } from "@muster/contracts/muster/events/v1/profile_pb";
import { TrackedEventSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import { CreateApiKeyResponseSchema } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { StoredMembershipSchema } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { CreateSegmentRequestSchema } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { uuidToBytes } from "@muster/core";
import { expect, test } from "vitest";
import { personalJson } from "./personal-json.ts";

const ADA = "01900000-0000-7000-8000-0000000000a1";

test("shows labeled fields that are set, and timestamps; keeps JSON as sent", () => {
  const profile = create(ProfileSchema, {
    id: ADA,
    email: 'ada"@example.com',
    traits: '{"big":12345678901234567890.10}',
    createTime: timestampFromMs(0),
  });
  expect(personalJson(ProfileSchema, profile)).toBe(
    `{"id":"${ADA}","email":"ada\\"@example.com","traits":{"big":12345678901234567890.10},"create_time":"1970-01-01T00:00:00.000Z"}`,
  );
});

test("shows labeled numbers and booleans; omits unlabeled ids", () => {
  const kept = create(StoredMembershipSchema, {
    profileId: uuidToBytes(ADA),
    segmentSlug: "shoes",
    member: false,
    enteredMs: 12345678901234n,
  });
  expect(JSON.parse(personalJson(StoredMembershipSchema, kept))).toEqual({
    profile_id: ADA,
    segment_id: "",
    segment_slug: "shoes",
    member: false,
    entered_ms: 12345678901234,
    changed_ms: 0,
  });
  const event = create(TrackedEventSchema, { id: ADA, profileId: ADA, properties: "{}", name: "a" });
  expect(personalJson(TrackedEventSchema, event)).toBe(
    `{"event_id":"","profile_id":"${ADA}","name":"a","properties":{}}`,
  );
});

test("shows nested messages", () => {
  const views = create(ExportedPageViewsSchema, {
    profileId: ADA,
    views: [{ time: timestampFromMs(5), page: "Pricing" }, { page: "" }],
  });
  expect(JSON.parse(personalJson(ExportedPageViewsSchema, views))).toEqual({
    profile_id: ADA,
    views: [{ time: "1970-01-01T00:00:00.005Z", page: "Pricing" }, { page: "" }],
  });
  const amounts = create(ExportedAmountsSchema, { amounts: [{ orderMs: 2n ** 62n, amount: "42.00" }] });
  expect(personalJson(ExportedAmountsSchema, amounts)).toBe(
    `{"profile_id":"","amounts":[{"order_ms":${2n ** 62n},"amount":"42.00"}]}`,
  );
});

test("omits secrets and fields with the label NONE", () => {
  const response = create(CreateApiKeyResponseSchema, { apiKey: { name: "shop" }, secret: "mk_1" });
  expect(personalJson(CreateApiKeyResponseSchema, response)).toBe('{"api_key":{}}');
  const rule = {
    kind: { case: "not" as const, value: { kind: { case: "trait" as const, value: { where: "x" } } } },
  };
  expect(
    personalJson(CreateSegmentRequestSchema, create(CreateSegmentRequestSchema, { name: "Shoes", rule })),
  ).toBe('{"rule":{"not":{"trait":{"where":"x"}}}}');
});
