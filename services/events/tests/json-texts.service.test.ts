// Sends JSON texts in every field that keeps JSON as text, past the transcoder as gRPC clients do: the methods refuse
// what REST refuses.
import { type DescMessage, type DescMethod, getOption } from "@bufbuild/protobuf";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { field as fieldOption } from "@muster/contracts/muster/options/v1/options_pb";
import { AppError } from "@muster/errors";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const REFUSED = [
  ['{"a":1e400}', "too large"],
  ['{"a":1,"a":2}', "twice"],
  [String.raw`{"a":"\ud83d"}`, "surrogate"],
  ["[]", "must be a JSON object"],
] as const;

const user = { case: "userId", value: "ada" } as const;
const organizationId = newOrganization();
const as = { organizationId };

/** Sends the text, and resolves to the message of the error of the call or of its item. */
type Send = (events: EventsUnderTest, text: string) => Promise<string | undefined>;

const { recordEvent, recordProfileEvent, batchRecordEvents } = EventService.method;
const { createProfile, updateProfile } = ProfileService.method;
const tracking = TrackingService.method;

const sends: Readonly<Record<string, Send>> = {
  "RecordEvent properties": (events, properties) =>
    failure(events.call(recordEvent, { event: { identity: user, name: "a", properties } }, as)),
  "RecordProfileEvent properties": async (events, properties) =>
    failure(
      events.call(recordProfileEvent, { profileId: await profileOf(events), name: "a", properties }, as),
    ),
  async "BatchRecordEvents properties"(events, properties) {
    const event = { identity: user, name: "a", properties };
    return (await events.call(batchRecordEvents, { events: [event] }, as)).results[0]?.error?.message;
  },
  async "IngestEvents properties"(events, properties) {
    async function* requests() {
      yield { sequence: 1n, event: { identity: user, name: "a", properties } };
    }
    for await (const { failures } of events.client(EventService, as).ingestEvents(requests())) {
      for (const { error } of failures) return error?.message;
    }
    return undefined;
  },
  "CreateProfile traits": (events, traits) =>
    failure(events.call(createProfile, { anonymousId: "new", traits }, as)),
  "UpdateProfile traits": async (events, traits) =>
    failure(events.call(updateProfile, { profileId: await profileOf(events), profile: { traits } }, as)),
  "Identify traits": (events, traits) =>
    failure(events.call(tracking.identify, { call: { userId: "ada", traits } }, as)),
  "Group traits": (events, traits) =>
    failure(events.call(tracking.group, { call: { userId: "ada", groupId: "g", traits } }, as)),
  "Track properties": (events, properties) =>
    failure(events.call(tracking.track, { call: { userId: "ada", event: "a", properties } }, as)),
  "Page properties": (events, properties) =>
    failure(events.call(tracking.page, { sdkUserId: "ada", properties }, as)),
  "Screen properties": (events, properties) =>
    failure(events.call(tracking.screen, { call: { userId: "ada", properties } }, as)),
  "Alias properties": (events, properties) =>
    failure(events.call(tracking.alias, { call: { userId: "ada", previousId: "x", properties } }, as)),
  "Batch properties": (events, properties) =>
    failure(
      events.call(tracking.batch, { batch: [{ type: "track", userId: "ada", event: "a", properties }] }, as),
    ),
  "Import traits": (events, traits) =>
    failure(events.call(tracking.import, { batch: [{ type: "identify", userId: "ada", traits }] }, as)),
};

async function failure(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return error instanceof AppError ? error.message : String(error);
  }
}

async function profileOf(events: EventsUnderTest): Promise<string> {
  const { event } = await events.call(recordEvent, { event: { identity: user, name: "first" } }, as);
  return event?.profileId ?? "";
}

test("every method with such a field is in the table", () => {
  const methods = [EventService, ProfileService, TrackingService].flatMap(({ methods: all }) => all);
  const keeping = methods.filter(({ input }: DescMethod) => keepsJson(input)).map(({ name }) => name);
  expect(new Set(Object.keys(sends).map((name) => name.split(" ")[0]))).toEqual(new Set(keeping));
});

function keepsJson(desc: DescMessage): boolean {
  return desc.fields.some(
    (field) =>
      getOption(field, fieldOption).rawJson || (field.message !== undefined && keepsJson(field.message)),
  );
}

describe.each(ENGINES)("JSON texts on %s", (engine) => {
  let events: EventsUnderTest;
  beforeAll(async () => {
    events = await EventsUnderTest.open(engine);
  });
  afterAll(() => events.close());

  test.each(Object.entries(sends))("%s", async (_name, send) => {
    for (const [text, problem] of REFUSED) expect(await send(events, text), text).toContain(problem);
    expect(await send(events, '{"a":1.10,"b":"1e400"}')).toBeUndefined();
  });
});
