import { create } from "@bufbuild/protobuf";
import {
  BatchRecordEventsRequestSchema,
  ListEventsRequestSchema,
  ListEventsResponseSchema,
  RecordEventRequestSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { CreateProfileRequestSchema } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { EventInputSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import { CreateApiKeyRequestSchema } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CreateInvitationRequestSchema } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { expect, test } from "vitest";
import { assertValid, validateMessage } from "./validation.ts";

const fieldsOf = (errors: readonly { field: string }[]): string[] => errors.map(({ field }) => field);

test("a good message has no errors", () => {
  const identity = { case: "userId", value: "13" } as const;
  expect(validateMessage(EventInputSchema, create(EventInputSchema, { identity, name: "a" }))).toEqual([]);
  expect(validateMessage(ListEventsResponseSchema, create(ListEventsResponseSchema))).toEqual([]);
});

test("paths are in snake_case, with indices, through nested messages and oneofs", () => {
  const event = { identity: { case: "anonymousId", value: "" }, name: "", eventId: "" } as const;
  const nested = validateMessage(RecordEventRequestSchema, create(RecordEventRequestSchema, { event }));
  expect(fieldsOf(nested).sort()).toEqual(["event.anonymous_id", "event.event_id", "event.name"]);
  const missing = validateMessage(EventInputSchema, create(EventInputSchema, { name: "a" }));
  expect(fieldsOf(missing)).toEqual(["identity"]);
  const list = create(ListEventsRequestSchema, { pageSize: -1, name: ["a", "x".repeat(256)] });
  expect(fieldsOf(validateMessage(ListEventsRequestSchema, list)).sort()).toEqual(["name[1]", "page_size"]);
});

test("an empty field is called empty", () => {
  const input = create(EventInputSchema, { identity: { case: "userId", value: "" }, name: "" });
  expect(validateMessage(EventInputSchema, input)).toEqual([
    { field: "user_id", message: "must not be empty" },
    { field: "name", message: "must not be empty" },
  ]);
  const invitation = create(CreateInvitationRequestSchema, { email: "ada@example.test" });
  expect(validateMessage(CreateInvitationRequestSchema, invitation)).toEqual([
    { field: "role", message: "must not be empty" },
  ]);
});

test("lengths are counted in bytes", () => {
  const identity = { case: "userId", value: "\u00fc".repeat(128) } as const;
  expect(
    fieldsOf(validateMessage(EventInputSchema, create(EventInputSchema, { identity, name: "a" }))),
  ).toEqual(["user_id"]);
});

test("a rule of a whole message names the field its id begins with, if there is one", () => {
  const events = Array.from({ length: 5001 }, () => ({}));
  const batch = create(BatchRecordEventsRequestSchema, { events });
  expect(validateMessage(BatchRecordEventsRequestSchema, batch)).toEqual([
    { field: "events", message: "a batch holds at most 5000 events" },
  ]);
  const profile = validateMessage(CreateProfileRequestSchema, create(CreateProfileRequestSchema));
  expect(profile).toEqual([{ field: "", message: "one of user_id, anonymous_id and email is required" }]);
});

test("at most twenty violations are reported", () => {
  const key = create(CreateApiKeyRequestSchema, {
    name: "n",
    scopes: Array.from({ length: 60 }, (_, i) => "x".repeat(65 + i)),
  });
  expect(validateMessage(CreateApiKeyRequestSchema, key)).toHaveLength(20);
  expect(() => assertValid(CreateApiKeyRequestSchema, key)).toThrow(/^scopes\[0\]: /);
});
