// Tests the types of domain events that the options of their messages declare.
import { EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { ProfileMergedSchema } from "@muster/contracts/muster/events/v1/events_events_pb";
import { MembershipsChangedSchema } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { expect, test } from "vitest";
import { domainEventType } from "./domain-event-type.ts";

test("a message with one type", () => {
  expect(domainEventType(ProfileMergedSchema)).toBe("muster.events.profile.merged.v1");
});

test("a message with several types is selected by verb", () => {
  expect(domainEventType(MembershipsChangedSchema, "exited")).toBe("muster.segments.membership.exited.v1");
  expect(() => domainEventType(MembershipsChangedSchema)).toThrow("needs exactly one domain_event");
  expect(() => domainEventType(MembershipsChangedSchema, "deleted")).toThrow("with the verb deleted");
});

test("a message without a type", () => {
  expect(() => domainEventType(EnvelopeSchema)).toThrow("muster.bus.v1.Envelope");
});
