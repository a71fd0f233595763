// Tests page views and points through the service, on both engines.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { BehaviorService } from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import type { OrganizationId } from "@muster/core";
import { ENGINES, FakeClock } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { recordTrackedUserEvent, listTrackedUserPoints, getTrackedUserSummary } = BehaviorService.method;
const { batchRecordEvents, listEvents } = EventService.method;
const { listProfiles, createProfile, mergeProfile, unmergeProfile } = ProfileService.method;
const { createEventType, updateEventType, deleteEventType } = EventTypeService.method;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

interface View {
  readonly user: string;
  readonly page?: string | undefined;
  readonly atMs: number;
}

describe.each(ENGINES)("behavior on %s", (engine) => {
  const clock = new FakeClock(Date.UTC(2026, 0, 20, 12));
  let events: EventsUnderTest;
  let beside: EventsUnderTest;

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine, { clock });
    beside = await EventsUnderTest.open(engine, { clock, beside: events });
  });
  afterAll(async () => {
    await beside.close();
    await events.close();
  });

  const send = (organizationId: OrganizationId, views: readonly View[], through = events) =>
    through.call(
      batchRecordEvents,
      {
        events: views.map(({ user, page, atMs }) => ({
          identity: { case: "userId" as const, value: user },
          name: "page.viewed",
          properties: JSON.stringify({ name: page }),
          timestamp: timestampFromMs(atMs),
        })),
      },
      { organizationId },
    );
  const summaryOf = async (organizationId: OrganizationId, userId: string) => {
    const { $typeName: _, ...summary } = await events.call(
      getTrackedUserSummary,
      { userId },
      { organizationId },
    );
    return summary;
  };
  const record = (organizationId: OrganizationId, userId: string, eventType: string, timestamp: number) =>
    events.call(
      recordTrackedUserEvent,
      { userId, eventType, timestamp: BigInt(timestamp) },
      { organizationId },
    );
  const pointsOf = async (organizationId: OrganizationId, request: object = {}) => {
    const { data } = await events.call(listTrackedUserPoints, request, { organizationId });
    return data.map(({ user, points }) => [user, points]);
  };
  const idOf = async (organizationId: OrganizationId, userId: string): Promise<string> =>
    (await events.call(listProfiles, { userId }, { organizationId })).profiles[0]?.id ?? "";

  describe("GetTrackedUserSummary", () => {
    test("includes a new view at once, excludes it when the window has moved, and includes future views when due", async () => {
      const organizationId = newOrganization();
      const nowMs = clock.nowMs();
      await expectReason(summaryOf(organizationId, "u"), "PROFILE_NOT_FOUND");
      await send(organizationId, [
        { user: "u", page: "Home", atMs: nowMs - 168 * HOUR_MS },
        { user: "u", page: "Pricing", atMs: nowMs },
        { user: "u", atMs: nowMs - 29 * MINUTE_MS },
        { user: "u", page: "Due later", atMs: nowMs + 1 },
      ]);
      expect(await summaryOf(organizationId, "u")).toEqual({
        userId: "u",
        numberPagesViewedInTheLast7Days: 3n,
        timeSpentOnSiteInLast7Days: 29n,
        numberOfDaysActiveInLast7Days: 2,
        mostViewedPageInLast7Days: "Pricing",
      });
      clock.setNowMs(nowMs + 1);
      expect(await summaryOf(organizationId, "u")).toMatchObject({
        numberPagesViewedInTheLast7Days: 3n,
        mostViewedPageInLast7Days: "Due later",
      });
      clock.setNowMs(nowMs + 169 * HOUR_MS);
      expect(await summaryOf(organizationId, "u")).toEqual({
        userId: "u",
        numberPagesViewedInTheLast7Days: 0n,
        timeSpentOnSiteInLast7Days: 0n,
        numberOfDaysActiveInLast7Days: 0,
      });
      await expectReason(summaryOf(newOrganization(), "u"), "PROFILE_NOT_FOUND");
    });

    test("loses no view when two processes fill one hour, and keeps rows small", async () => {
      const organizationId = newOrganization();
      const startMs = Math.floor(clock.nowMs() / HOUR_MS) * HOUR_MS - HOUR_MS;
      const batches = Array.from({ length: 24 }, (_, batch) =>
        Array.from({ length: 125 }, (_view, index): View => {
          const nth = batch * 125 + index;
          return { user: "crowd", page: `Page ${nth % 7} of a longer name`, atMs: startMs + nth * 1000 };
        }),
      );
      await Promise.all(
        batches.map((batch, index) => send(organizationId, batch, index % 2 === 0 ? events : beside)),
      );
      expect(await summaryOf(organizationId, "crowd")).toEqual({
        userId: "crowd",
        numberPagesViewedInTheLast7Days: 3000n,
        timeSpentOnSiteInLast7Days: 49n,
        numberOfDaysActiveInLast7Days: 1,
        // 3,000 = 7 * 428 + 4: the first four pages have one more view, and the fourth was viewed last.
        mostViewedPageInLast7Days: "Page 3 of a longer name",
      });
      const parts = await events.database
        .reader("page_view_hours")
        .select<{ part: number; views: Buffer }[]>("part", "views");
      expect(parts.length).toBeGreaterThan(3);
      for (const { views } of parts) expect(views.length).toBeLessThan(16_384 + 2000 * 40);
    });

    test("covers both profiles of a merged person until the unmerge", async () => {
      const organizationId = newOrganization();
      const nowMs = clock.nowMs();
      await send(organizationId, [
        { user: "phone", page: "Home", atMs: nowMs - 20 * MINUTE_MS },
        { user: "desk", page: "Home", atMs: nowMs - 40 * MINUTE_MS },
        { user: "desk", page: "Pricing", atMs: nowMs - MINUTE_MS },
      ]);
      const [phone, desk] = [await idOf(organizationId, "phone"), await idOf(organizationId, "desk")];
      expect(await summaryOf(organizationId, "desk")).toMatchObject({ timeSpentOnSiteInLast7Days: 0n });
      await events.call(mergeProfile, { profileId: phone, into: desk }, { organizationId });
      for (const userId of ["phone", "desk"]) {
        expect(await summaryOf(organizationId, userId)).toEqual({
          userId,
          numberPagesViewedInTheLast7Days: 3n,
          timeSpentOnSiteInLast7Days: 39n,
          numberOfDaysActiveInLast7Days: 1,
          mostViewedPageInLast7Days: "Home",
        });
      }
      await send(organizationId, [{ user: "phone", page: "Pricing", atMs: nowMs }]);
      expect(await summaryOf(organizationId, "desk")).toMatchObject({ numberPagesViewedInTheLast7Days: 4n });
      await events.call(unmergeProfile, { profileId: phone }, { organizationId });
      expect(await summaryOf(organizationId, "phone")).toMatchObject({ numberPagesViewedInTheLast7Days: 2n });
      expect(await summaryOf(organizationId, "desk")).toMatchObject({ numberPagesViewedInTheLast7Days: 2n });
    });
  });

  describe("RecordTrackedUserEvent", () => {
    test("stores a tracked event named after the type, and rejects a repetition", async () => {
      const organizationId = newOrganization();
      const response = await record(organizationId, "13", "PURCHASE", 14_223_343);
      expect(response).toMatchObject({ message: "User events recorded Successfully" });
      const profileId = await idOf(organizationId, "13");
      const { events: stored } = await events.call(listEvents, { profileId }, { organizationId });
      expect(stored).toMatchObject([
        { id: response.id, name: "PURCHASE", timestamp: timestampFromMs(14_223_343) },
      ]);
      await expectReason(record(organizationId, "13", "PURCHASE", 14_223_343), "USER_EVENT_EXISTS", {
        message: "User event already exists",
      });
      for (const [user, type, at] of [
        ["14", "PURCHASE", 14_223_343],
        ["13", "LOGIN", 14_223_343],
        ["13", "PURCHASE", 14_223_344],
      ] as const) {
        await record(organizationId, user, type, at);
      }
    });

    test("stores and distinguishes the largest timestamps as sent", async () => {
      const organizationId = newOrganization();
      const sent = [0, 253_402_300_799_999, 253_402_300_800_000, 2 ** 53 - 2, 2 ** 53 - 1];
      for (const timestamp of sent) await record(organizationId, "late", "LOGIN", timestamp);
      await expectReason(record(organizationId, "late", "LOGIN", 2 ** 53 - 1), "USER_EVENT_EXISTS");
      const profileId = await idOf(organizationId, "late");
      const { events: stored } = await events.call(listEvents, { profileId }, { organizationId });
      expect(stored.map(({ properties }) => JSON.parse(properties).timestamp).sort((a, b) => a - b)).toEqual(
        sent,
      );
      expect(await pointsOf(organizationId)).toEqual([["late", 5]]);
    });

    test("stores one of twenty concurrent repetitions through two processes", async () => {
      const organizationId = newOrganization();
      const request = { userId: "race", eventType: "LOGIN", timestamp: 7n };
      const all = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? events : beside).call(recordTrackedUserEvent, request, { organizationId }),
        ),
      );
      const refused = all.filter((one) => one.status === "rejected");
      expect(refused).toHaveLength(19);
      for (const { reason } of refused) expect(reason).toMatchObject({ reason: "USER_EVENT_EXISTS" });
      expect(await pointsOf(organizationId)).toEqual([["race", 1]]);
    });

    test("is unique per user id: a merged user and a later owner of the id have separate events", async () => {
      const organizationId = newOrganization();
      for (const user of ["a", "b"]) await record(organizationId, user, "LOGIN", 1);
      const [a, b] = [await idOf(organizationId, "a"), await idOf(organizationId, "b")];
      await events.call(mergeProfile, { profileId: a, into: b }, { organizationId });
      await expectReason(record(organizationId, "a", "LOGIN", 1), "USER_EVENT_EXISTS");
      await record(organizationId, "c", "LOGIN", 1);
      const profileId = await idOf(organizationId, "c");
      const { updateProfile } = ProfileService.method;
      await events.call(updateProfile, { profileId, profile: { userId: "d" } }, { organizationId });
      await expectReason(record(organizationId, "c", "LOGIN", 1), "USER_EVENT_EXISTS");
    });

    test("with an idempotency key returns the stored response and stores no second event", async () => {
      const organizationId = newOrganization();
      const request = { userId: "retry", eventType: "LOGIN", timestamp: 1n };
      const as = { organizationId, idempotencyKey: "once" };
      const first = await events.callWithHeaders(recordTrackedUserEvent, request, as);
      const again = await events.callWithHeaders(recordTrackedUserEvent, request, as);
      expect(again.message).toEqual(first.message);
      expect(again.headers.get("idempotency-replayed")).toBe("true");
    });

    test.each([
      ["no user", { userId: "", eventType: "LOGIN", timestamp: 1n }, "user_id"],
      ["a long user", { userId: "x".repeat(256), eventType: "LOGIN", timestamp: 1n }, "user_id"],
      ["half a character", { userId: "\ud800", eventType: "LOGIN", timestamp: 1n }, "user_id"],
      ["no type", { userId: "bad", eventType: "", timestamp: 1n }, "event_type"],
      ["a type that is none", { userId: "bad", eventType: "login", timestamp: 1n }, "event_type"],
      ["no timestamp", { userId: "bad", eventType: "LOGIN" }, "timestamp"],
      ["a timestamp below none", { userId: "bad", eventType: "LOGIN", timestamp: -1n }, "timestamp"],
      ["a timestamp of 2^53", { userId: "bad", eventType: "LOGIN", timestamp: 2n ** 53n }, "timestamp"],
    ])("refuses %s, and leaves nothing behind", async (_, request, field) => {
      const organizationId = newOrganization();
      await expectReason(events.call(recordTrackedUserEvent, request, { organizationId }), "FIELD_INVALID", {
        fields: [{ field }],
      });
      expect((await events.call(listProfiles, {}, { organizationId })).profiles).toEqual([]);
    });
  });

  describe("ListTrackedUserPoints", () => {
    test("sums price times count over the catalog exactly, for users with such an event", async () => {
      const organizationId = newOrganization();
      await events.call(createEventType, { name: "SIP", price: 0.1 }, { organizationId });
      await events.call(createEventType, { name: "GLANCE", price: 0 }, { organizationId });
      for (const [user, type, at] of [
        ["13", "PURCHASE", 1],
        ["13", "LOGIN", 1],
        ["b", "SIP", 1],
        ["b", "SIP", 2],
        ["b", "SIP", 3],
        ["glancer", "GLANCE", 1],
      ] as const) {
        await record(organizationId, user, type, at);
      }
      await send(organizationId, [{ user: "viewer", page: "Home", atMs: 1 }]);
      const all = [
        ["13", 11],
        ["b", 0.3],
        ["glancer", 0],
      ];
      expect(await pointsOf(organizationId)).toEqual(all);
      expect(await pointsOf(organizationId, { userId: "13" })).toEqual([["13", 11]]);
      expect(await pointsOf(organizationId, { userId: "13", eventType: "LOGIN" })).toEqual([["13", 1]]);
      expect(await pointsOf(organizationId, { eventType: "SIP" })).toEqual([["b", 0.3]]);
      for (const nothing of [
        { userId: "nobody" },
        { userId: "viewer" },
        { userId: "" },
        { eventType: "page.viewed" },
        { eventType: "" },
        { userId: "13", eventType: "REFERRAL" },
      ]) {
        expect(await pointsOf(organizationId, nothing)).toEqual([]);
      }
      expect(await pointsOf(newOrganization())).toEqual([]);
    });

    test("uses the current catalog: prices, new types and deleted types apply to past events", async () => {
      const organizationId = newOrganization();
      await record(organizationId, "u", "LOGIN", 1);
      await send(organizationId, [{ user: "u", page: "Home", atMs: 1 }]);
      const steps: [() => Promise<unknown>, number][] = [
        [
          () =>
            events.call(updateEventType, { name: "LOGIN", eventType: { price: 2.5 } }, { organizationId }),
          2.5,
        ],
        [() => events.call(createEventType, { name: "page.viewed", price: 4 }, { organizationId }), 6.5],
        [() => events.call(deleteEventType, { name: "LOGIN" }, { organizationId }), 4],
      ];
      for (const [change, points] of steps) {
        await change();
        expect(await pointsOf(organizationId)).toEqual([["u", points]]);
      }
      await expect(record(organizationId, "u", "LOGIN", 2)).rejects.toMatchObject({
        fields: [{ field: "event_type" }],
      });
      await record(organizationId, "u", "page.viewed", 2);
      expect(await pointsOf(organizationId)).toEqual([["u", 8]]);
    });

    test("lists a merged person once, and returns the requested id", async () => {
      const organizationId = newOrganization();
      for (const user of ["z", "m", "a"]) await record(organizationId, user, "LOGIN", 1);
      await events.call(createProfile, { anonymousId: "device" }, { organizationId });
      const [z, m, a] = [
        await idOf(organizationId, "z"),
        await idOf(organizationId, "m"),
        await idOf(organizationId, "a"),
      ];
      const { profiles } = await events.call(listProfiles, { anonymousId: "device" }, { organizationId });
      const device = profiles[0]?.id ?? "";
      await events.call(mergeProfile, { profileId: a, into: m }, { organizationId });
      expect(await pointsOf(organizationId)).toEqual([
        ["m", 2],
        ["z", 1],
      ]);
      expect(await pointsOf(organizationId, { userId: "a" })).toEqual([["a", 2]]);
      // A root without a user id shows the user id of the first merged profile.
      await events.call(mergeProfile, { profileId: m, into: device }, { organizationId });
      await events.call(mergeProfile, { profileId: z, into: device }, { organizationId });
      expect(await pointsOf(organizationId)).toEqual([["m", 3]]);
      await events.call(unmergeProfile, { profileId: m }, { organizationId });
      expect(await pointsOf(organizationId)).toEqual([
        ["m", 2],
        ["z", 1],
      ]);
    });

    test("has pages of a thousand, ordered by the bytes of user ids; the response for one user has no page", async () => {
      const organizationId = newOrganization();
      const users = Array.from({ length: 2500 }, (_, index) => `u${index}${index % 100 === 0 ? "ü𝒳" : ""}`);
      const sent = users.map((value) => ({ identity: { case: "userId" as const, value }, name: "LOGIN" }));
      await events.call(batchRecordEvents, { events: sent }, { organizationId });
      const seen: string[] = [];
      const sizes: number[] = [];
      for (let pageToken = ""; sizes.length < 9; ) {
        const { data, page } = await events.call(listTrackedUserPoints, { pageToken }, { organizationId });
        sizes.push(data.length);
        seen.push(...data.map(({ user }) => user));
        pageToken = page.value ?? "";
        expect(page.case).toBe("nextPageToken");
        if (pageToken === "") break;
        await record(organizationId, `u${sizes.length}-late`, "LOGIN", 1);
        await expectReason(
          events.call(listTrackedUserPoints, { pageToken, eventType: "LOGIN" }, { organizationId }),
          "PAGE_TOKEN_INVALID",
        );
      }
      expect(sizes).toEqual([1000, 1000, expect.any(Number)]);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((user) => !user.endsWith("-late"))).toEqual(
        users.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
      const one = await events.call(listTrackedUserPoints, { userId: "u7" }, { organizationId });
      expect(one.page).toEqual({ case: undefined });
    });
  });
});
