// Tests tracking calls: events, profiles, corrected times, repeated calls and batches.
import type { DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import {
  type TrackingCallSchema,
  TrackingService,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { OrganizationId } from "@muster/core";
import { ENGINES, FakeClock } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { track, identify, alias, group, screen, page, batch, import: importCalls } = TrackingService.method;
const { listProfiles } = ProfileService.method;
const { listEvents } = EventService.method;
const NOW = Date.UTC(2026, 0, 1, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

type Call = MessageInitShape<typeof TrackingCallSchema>;
const at = (ms: number): string => new Date(ms).toISOString();

describe.each(ENGINES)("tracking calls on %s", (engine) => {
  const clock = new FakeClock(NOW);
  let events: EventsUnderTest;
  let organizationId: OrganizationId;
  let as: { organizationId: OrganizationId };

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine, { clock });
  });
  afterAll(() => events.close());
  beforeEach(() => {
    organizationId = newOrganization();
    as = { organizationId };
  });

  type Single = typeof track | typeof identify | typeof alias | typeof group | typeof screen;
  const call = (method: Single, sent: Call) => events.call(method as typeof track, { call: sent }, as);
  const profiles = async () => (await events.call(listProfiles, { pageSize: 500 }, as)).profiles;
  /** Events of all profiles, oldest first. */
  async function stored() {
    const found = [];
    for (const { id } of await profiles()) {
      const { events: own } = await events.call(listEvents, { profileId: id, pageSize: 500 }, as);
      found.push(...own);
    }
    return found
      .map((event) => ({
        name: event.name,
        atMs: event.timestamp === undefined ? Number.NaN : timestampMs(event.timestamp),
        properties: JSON.parse(event.properties),
        eventId: event.eventId === event.id ? undefined : event.eventId,
        profileId: event.profileId,
      }))
      .sort((a, b) => a.atMs - b.atMs || a.name.localeCompare(b.name));
  }
  const names = async () => (await stored()).map(({ name }) => name);
  async function refusal<M extends DescMethodUnary>(method: M, request: MessageInitShape<M["input"]>) {
    const error = await events.call(method, request, as).then(
      () => undefined,
      (failure: { reason: string; fields: { field: string }[] }) => failure,
    );
    return error && `${error.reason} ${error.fields.map(({ field }) => field).join(" ")}`.trim();
  }

  describe("events", () => {
    test("each type of call records an event with its own name", async () => {
      const userId = "ada";
      await call(track, { userId, event: "order.completed", properties: '{"total":1.10}' });
      await call(screen, { userId, name: "Home", category: "Start", properties: '{"name":"other","a":[]}' });
      await events.call(page, { sdkUserId: userId, name: "Prices", properties: '{"url":"/p"}' }, as);
      await call(group, { userId, groupId: "acme", traits: '{"plan":"pro"}' });
      expect(await stored()).toMatchObject([
        { name: "group.identified", properties: { plan: "pro", groupId: "acme" } },
        { name: "order.completed", properties: { total: 1.1 } },
        { name: "page.viewed", properties: { url: "/p", name: "Prices" } },
        { name: "screen.viewed", properties: { name: "Home", category: "Start", a: [] } },
      ]);
      expect(await profiles()).toHaveLength(1);
    });

    test("numbers keep their digits, also if a name is added", async () => {
      await call(screen, { userId: "u", name: "n", properties: '{"amount":1.10,"id":12345678901234567890}' });
      const [{ id = "" } = {}] = await profiles();
      const { events: listed } = await events.call(listEvents, { profileId: id }, as);
      expect(listed[0]?.properties).toBe('{"amount":1.10,"id":12345678901234567890,"name":"n"}');
    });

    test("a user id takes precedence over an anonymous id and links no profiles", async () => {
      await call(track, { anonymousId: "a", event: "first" });
      await call(track, { userId: "u", anonymousId: "a", event: "second" });
      expect(await profiles()).toMatchObject([{ anonymousId: "a" }, { userId: "u" }]);
    });

    test.each<[string, Call, string]>([
      ["nobody", { event: "x" }, "FIELD_INVALID call.user_id"],
      ["no event", { userId: "u" }, "FIELD_INVALID call.event"],
      ["a long id", { userId: "u".repeat(256), event: "x" }, "FIELD_INVALID call.user_id"],
      [
        "a long message id",
        { userId: "u", event: "x", messageId: "m".repeat(256) },
        "FIELD_INVALID call.message_id",
      ],
      ["a long event", { userId: "u", event: "x".repeat(256) }, "FIELD_INVALID call.event"],
      ["no instant", { userId: "u", event: "x", timestamp: "yesterday" }, "FIELD_INVALID call.timestamp"],
      ["no instant of sending", { userId: "u", event: "x", sentAt: "0" }, "FIELD_INVALID call.sent_at"],
      [
        "an instant past all years",
        { userId: "u", event: "x", timestamp: "0001-01-01T01:00:00Z", sentAt: at(NOW + 2 * HOUR) },
        "FIELD_INVALID call.timestamp",
      ],
      [
        "properties that are no object",
        { userId: "u", event: "x", properties: "[]" },
        "FIELD_INVALID call.properties",
      ],
      ["half a character", { userId: "u\ud800", event: "x" }, "FIELD_INVALID call.user_id"],
      [
        "128 KiB",
        { userId: "u", event: "x", properties: JSON.stringify({ a: "x".repeat(128 * 1024) }) },
        "TOO_LARGE",
      ],
    ])("%s is refused", async (_, sent, expected) => {
      expect(await refusal(track, { call: sent })).toBe(expected);
      expect(await profiles()).toEqual([]);
    });

    test("other types require their own fields", async () => {
      expect(await refusal(group, { call: { userId: "u" } })).toBe("FIELD_INVALID call.group_id");
      expect(await refusal(alias, { call: { userId: "u" } })).toBe("FIELD_INVALID call.previous_id");
      expect(await refusal(alias, { call: { anonymousId: "a", previousId: "p" } })).toBe(
        "FIELD_INVALID call.user_id",
      );
      expect(await refusal(track, {})).toBe("FIELD_INVALID call.user_id call.event");
      const traits = JSON.stringify({ a: "x".repeat(65_536) });
      expect(await refusal(identify, { call: { userId: "u", traits } })).toBe("FIELD_INVALID call.traits");
    });
  });

  describe("times", () => {
    test.each<[string, Omit<Call, "$typeName">, number]>([
      ["none", {}, NOW],
      ["one alone is believed", { timestamp: at(NOW - HOUR) }, NOW - HOUR],
      [
        "a request that was ten minutes on its way",
        { timestamp: at(NOW - HOUR), sentAt: at(NOW - 10 * MINUTE) },
        NOW - HOUR,
      ],
      [
        "a clock that is more than ten minutes slow",
        { timestamp: at(NOW - HOUR), sentAt: at(NOW - 10 * MINUTE - 1) },
        NOW - 50 * MINUTE + 1,
      ],
      [
        "a clock that is ten minutes fast",
        { timestamp: at(NOW + 9 * MINUTE), sentAt: at(NOW + 10 * MINUTE) },
        NOW + 9 * MINUTE,
      ],
      [
        "a clock that is a day fast",
        { timestamp: at(NOW + 23 * HOUR), sentAt: at(NOW + 24 * HOUR) },
        NOW - HOUR,
      ],
      [
        "a clock that claims to be a year fast",
        { timestamp: at(NOW - HOUR), sentAt: at(NOW + 365 * 24 * HOUR) },
        NOW - HOUR,
      ],
      ["a clock without a battery", { timestamp: at(NOW - HOUR), sentAt: at(0) }, NOW - HOUR],
      [
        "a time of sending from another clock than the event",
        { timestamp: at(NOW - HOUR), sentAt: at(NOW - 20 * 365 * 24 * HOUR) },
        NOW - HOUR,
      ],
      ["another zone", { timestamp: "2026-01-01T14:00:00+03:00", sentAt: at(NOW) }, NOW - HOUR],
      ["no zone is UTC", { timestamp: "2026-01-01T11:00:00" }, NOW - HOUR],
      [
        "the original timestamp is the fallback",
        { originalTimestamp: at(NOW - HOUR), sentAt: at(NOW - 20 * MINUTE) },
        NOW - 40 * MINUTE,
      ],
      [
        "the original timestamp is only a fallback",
        { timestamp: at(NOW - 2 * HOUR), originalTimestamp: at(NOW - HOUR) },
        NOW - 2 * HOUR,
      ],
      ["of sending alone", { sentAt: at(NOW - HOUR) }, NOW],
    ])("%s", async (_, times, expected) => {
      await call(track, { userId: "u", event: "x", ...times });
      expect((await stored()).map(({ atMs }) => atMs)).toEqual([expected]);
    });

    test("one correction applies to all calls of a batch, which keep their order", async () => {
      const calls = [
        {
          type: "track",
          userId: "u",
          event: "first",
          timestamp: at(NOW - HOUR),
          sentAt: at(NOW - 9 * MINUTE),
        },
        { type: "track", userId: "u", event: "second", timestamp: at(NOW - 50 * MINUTE) },
        { type: "track", userId: "u", event: "third" },
      ];
      await events.call(batch, { batch: calls, sentAt: at(NOW - 11 * MINUTE) }, as);
      expect(await stored()).toMatchObject([
        { name: "first", atMs: NOW - 49 * MINUTE },
        { name: "second", atMs: NOW - 39 * MINUTE },
        { name: "third", atMs: NOW },
      ]);
    });

    test("a batch that was 30 s on its way keeps the cart before the order", async () => {
      const sentAt = at(NOW - 30_000);
      const calls = [
        { type: "track", userId: "u", event: "cart", timestamp: at(NOW - 31_000) },
        { type: "track", userId: "u", event: "order" },
      ];
      await events.call(batch, { batch: calls, sentAt }, as);
      await call(track, { userId: "u", event: "by server", timestamp: at(NOW - 20_000) });
      expect(await names()).toEqual(["cart", "by server", "order"]);
    });

    test("an import's times are not corrected", async () => {
      const sent = {
        type: "track",
        userId: "u",
        event: "x",
        timestamp: "1999-12-31T23:59:59.5Z",
        sentAt: at(NOW - HOUR),
      };
      await events.call(importCalls, { batch: [sent] }, as);
      expect(await stored()).toMatchObject([{ atMs: Date.UTC(1999, 11, 31, 23, 59, 59, 500) }]);
    });
  });

  describe("repeats", () => {
    test("a message id counts once, whatever the content", async () => {
      const sent = { userId: "u", event: "x", messageId: "m1", timestamp: at(NOW - HOUR) };
      const again = [
        sent,
        { ...sent, sentAt: at(NOW - MINUTE) },
        { ...sent, event: "other", properties: '{"a":1}' },
        { ...sent, userId: "v" },
      ];
      for (const one of again) expect(await call(track, one)).toMatchObject({ success: true });
      expect(await stored()).toMatchObject([{ name: "x", atMs: NOW - HOUR, eventId: "m1" }]);
    });

    test("without one every call counts", async () => {
      const sent = { userId: "u", event: "x", timestamp: at(NOW) };
      await call(track, sent);
      await call(track, sent);
      expect(await names()).toEqual(["x", "x"]);
    });

    test("many at once", async () => {
      const sent = { userId: "u", event: "x", messageId: "m" };
      await Promise.all(Array.from({ length: 20 }, () => call(track, sent)));
      expect(await names()).toEqual(["x"]);
    });

    test("message ids are independent between organizations", async () => {
      const sent = { userId: "u", event: "x", messageId: "m" };
      await call(track, sent);
      const other = { organizationId: newOrganization() };
      await events.call(track, { call: sent }, other);
      const { profiles: theirs } = await events.call(listProfiles, {}, other);
      expect(theirs).toHaveLength(1);
      expect(theirs[0]?.id).not.toBe((await profiles())[0]?.id);
    });

    test("an Idempotency-Key replays the response and counts once, also for a batch", async () => {
      const calls = [
        { type: "track", userId: "u", event: "x" },
        { type: "identify", userId: "u", traits: '{"a":1}' },
      ];
      const keyed = { ...as, idempotencyKey: "k1" };
      for (let time = 0; time < 2; time += 1) {
        const result = await events.callWithHeaders(batch, { batch: calls }, keyed);
        expect(result.message.success).toBe(true);
        expect(result.headers.get("idempotency-replayed")).toBe(time === 0 ? undefined : "true");
      }
      expect(await names()).toEqual(["user.identified", "x"]);
    });
  });

  describe("the short form of a page", () => {
    test("returns the event's id and counts every time", async () => {
      const sent = { userId: "019mr8mf4r", name: "Pricing Page", timestamp: "2012-12-02T00:30:12.984Z" };
      const responses = [];
      for (let time = 0; time < 2; time += 1) responses.push(await events.callWithHeaders(page, sent, as));
      const ids = responses.map(({ message, headers }) => {
        expect(headers.get("muster-http-status")).toBe("201");
        return message.result.case === "eventId" ? message.result.value : undefined;
      });
      expect(new Set(ids).size).toBe(2);
      const [profile] = await profiles();
      expect(profile).toMatchObject({ userId: "019mr8mf4r" });
      const { events: listed } = await events.call(listEvents, { profileId: profile?.id ?? "" }, as);
      expect(listed.map(({ id }) => id).sort()).toEqual(ids.sort());
      expect(listed[0]).toMatchObject({ name: "page.viewed", properties: '{"name":"Pricing Page"}' });
      expect((await stored())[0]?.atMs).toBe(Date.UTC(2012, 11, 2, 0, 30, 12, 984));
    });

    test("with an SDK id is treated as the SDK form", async () => {
      for (const theirs of [
        { sdkUserId: "s" },
        { sdkAnonymousId: "s" },
        { sdkUserId: "s", sdkMessageId: "m" },
      ]) {
        const result = await events.callWithHeaders(page, { userId: "u", name: "n", ...theirs }, as);
        expect(result.message.result).toEqual({ case: "success", value: true });
        expect(result.headers.has("muster-http-status")).toBe(false);
      }
      expect((await profiles()).flatMap(({ userId }) => userId ?? [])).toEqual(["s"]);
    });

    test.each<[string, MessageInitShape<typeof page.input>, string]>([
      ["nobody", { name: "n" }, "user_id"],
      ["an empty user", { userId: "", name: "n" }, "user_id"],
      ["a long user", { userId: "u".repeat(256), name: "n" }, "user_id"],
      ["no name", { userId: "u" }, "name"],
      ["a long name", { userId: "u", name: "n".repeat(1025) }, "name"],
      ["a time without a zone", { userId: "u", name: "n", timestamp: "2012-12-02T00:30:12" }, "timestamp"],
      ["a time that is none", { userId: "u", name: "n", timestamp: "2012-12-32T00:30:12Z" }, "timestamp"],
      ["a message id of nobody", { sdkMessageId: "m", name: "n" }, "user_id"],
    ])("%s is refused", async (_, sent, field) => {
      expect(await refusal(page, sent)).toBe(`FIELD_INVALID ${field}`);
      expect(await profiles()).toEqual([]);
    });
  });

  describe("batches", () => {
    test("valid calls are accepted, and invalid calls are counted", async () => {
      const before = await events.count("muster_tracking_calls_rejected_total");
      const calls = [
        { type: "track", userId: "u", event: "good" },
        { type: "track", userId: "u" },
        { type: "wish", userId: "u" },
        { type: "page", anonymousId: "a", name: "Home" },
        { type: "identify" },
        {},
      ];
      expect(await events.call(batch, { batch: calls }, as)).toMatchObject({ success: true });
      expect(await names()).toEqual(["good", "page.viewed"]);
      expect((await events.count("muster_tracking_calls_rejected_total")) - before).toBe(4);
    });

    test("without a valid call the batch fails and names each problem", async () => {
      const calls = [
        { type: "track", userId: "u" },
        { type: "group", groupId: "g" },
        { type: "track", userId: "u", event: "x", properties: JSON.stringify({ a: "x".repeat(131_072) }) },
        {},
      ];
      const unreadableCalls = [{ index: 3, field: "user_id", message: "must be a string" }];
      expect(await refusal(batch, { batch: calls, unreadableCalls })).toBe(
        "FIELD_INVALID batch[0].event batch[1].user_id batch[2] batch[3].user_id",
      );
      expect(await refusal(batch, { batch: [] })).toBe("FIELD_INVALID batch");
      expect(await refusal(batch, { batch: calls, sentAt: "then" })).toBe("FIELD_INVALID sent_at");
      expect(await refusal(batch, { batch: new Array(5001).fill(calls[0]) })).toBe("FIELD_INVALID batch");
      expect(await profiles()).toEqual([]);
    });

    test("a batch of repeated calls succeeds", async () => {
      const calls = [{ type: "track", userId: "u", event: "x", messageId: "m" }];
      for (let time = 0; time < 3; time += 1) {
        expect(await events.call(batch, { batch: calls }, as)).toMatchObject({ success: true });
      }
      expect(await names()).toEqual(["x"]);
    });

    test("overload in the middle requests a retry, and accepted calls do not count twice", async () => {
      const tight = await EventsUnderTest.open(engine, { clock, backlogItemsMax: 1 });
      const { positions } = await tight.feed.getPositions({});
      const report = (itemsThrough: bigint) =>
        tight.feed.reportApplied({
          consumer: "segments",
          shards: positions.map((position, shard) => ({ shard, position, itemsThrough })),
        });
      await report(0n);
      const calls = [
        { type: "track", userId: "u", event: "x", messageId: "1" },
        { type: "track", userId: "u", event: "x", messageId: "2" },
        { type: "identify", userId: "u", messageId: "3" },
      ];
      const refused = tight.call(batch, { batch: calls }, as);
      await expectReason(refused, "OVERLOADED", { retryAfterMs: 1000 });
      await report(2n);
      expect(await tight.call(batch, { batch: calls }, as)).toMatchObject({ success: true });
      const { events: announced } = await tight.announced();
      expect(announced.map(({ name }) => name)).toEqual(["x", "x", "user.identified"]);
      await tight.close();
    });

    test("a thousand calls without identity claims share few commits", async () => {
      const calls = Array.from({ length: 1000 }, (_, index) => ({
        type: "track",
        userId: `u${index % 7}`,
        event: "x",
        messageId: `m${index}`,
      }));
      const before = await events.count("muster_ingest_commits_total");
      await events.call(batch, { batch: calls }, as);
      expect((await events.count("muster_ingest_commits_total")) - before).toBeLessThanOrEqual(50);
      expect(await names()).toHaveLength(1000);
    });
  });
});
