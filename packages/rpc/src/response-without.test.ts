// Tests the response to a retry under an Idempotency-Key after profiles of the first response were erased.
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  BehaviorService,
  RecordTrackedUserEventResponseSchema,
} from "@muster/contracts/muster/events/v1/behavior_service_pb";
import {
  BatchRecordEventsResponseSchema,
  EventService,
  RecordEventResponseSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import type { OrganizationId, ProfileId } from "@muster/core";
import { expect, test } from "vitest";
import { responseWithout } from "./response-without.ts";
import { errorFromStatusBytes } from "./status-proto.ts";

const ADA = "01900000-0000-7000-8000-0000000000a1" as ProfileId;
const BOB = "01900000-0000-7000-8000-0000000000b1";
const subjects = {
  organizationId: "01900000-0000-7000-8000-000000000001" as OrganizationId,
  profileIds: new Set([ADA]),
};
const rewrite = responseWithout([EventService, BehaviorService], subjects);

function savedResponse<Schema extends DescMessage>(schema: Schema, message: MessageInitShape<Schema>) {
  return { ok: true, headers: { "x-saved": "1" }, body: toBinary(schema, create(schema, message)) };
}

test("a response about an erased profile only becomes an error", () => {
  const response = savedResponse(RecordEventResponseSchema, {
    event: { profileId: ADA, properties: '{"secret":1}' },
  });
  const rewritten = rewrite("muster.events.v1.EventService/RecordEvent", response);
  expect(rewritten).toMatchObject({ ok: false, headers: {} });
  expect(errorFromStatusBytes(rewritten?.body ?? new Uint8Array())).toMatchObject({ reason: "EVENT_ERASED" });
});

test("a response about other profiles too loses the erased profile's fields", () => {
  const results = [
    { index: 0, profileId: ADA, eventId: "a" },
    { index: 1, profileId: BOB, eventId: "b" },
  ];
  const rewritten = rewrite(
    "muster.events.v1.EventService/BatchRecordEvents",
    savedResponse(BatchRecordEventsResponseSchema, { results }),
  );
  expect(rewritten).toMatchObject({ ok: true, headers: { "x-saved": "1" } });
  const left = fromBinary(BatchRecordEventsResponseSchema, rewritten?.body ?? new Uint8Array());
  expect(left.results).toMatchObject([{ index: 1, profileId: BOB }]);
});

test("a response about the profile without naming it is removed, also of an unknown method", () => {
  const response = savedResponse(RecordEventResponseSchema, {
    event: { profileId: BOB, properties: '{"secret":1}' },
  });
  for (const method of ["muster.events.v1.EventService/RecordEvent", "muster.gone.v1.GoneService/Go"]) {
    expect(rewrite(method, response)).toMatchObject({ ok: false });
  }
});

test("a response without personal data stays, and so does an error", () => {
  const response = savedResponse(RecordTrackedUserEventResponseSchema, { message: "done", id: "an id" });
  expect(rewrite("muster.events.v1.BehaviorService/RecordTrackedUserEvent", response)).toBeUndefined();
  expect(rewrite("muster.events.v1.EventService/RecordEvent", { ...response, ok: false })).toBeUndefined();
});
