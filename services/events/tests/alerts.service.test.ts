// Tests deposits and withdrawals, the four default rules, and the fired alerts.
import { fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { AlertsFiredSchema } from "@muster/contracts/muster/events/v1/events_events_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { bytesToUuid, type OrganizationId, uuidToBytes } from "@muster/core";
import { ENGINES, FakeClock } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";
import { type ReferenceAction, ReferenceAlerts } from "./reference-alerts.ts";

const { recordAction, listAlerts } = AlertService.method;
const { batchRecordEvents, listEvents } = EventService.method;
const { createProfile, mergeProfile, unmergeProfile } = ProfileService.method;
const FARTHEST = 2n ** 53n - 1n;

/** Type, amount, time, and the expected codes. */
type Step = readonly [
  type: "deposit" | "withdraw",
  amount: string,
  time: number | bigint,
  ...codes: number[],
];

describe.each(ENGINES)("alerts on %s", (engine) => {
  const clock = new FakeClock();
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

  const known = async (...userIds: string[]): Promise<string[]> => {
    const made = userIds.map((userId) => events.call(createProfile, { userId }, as));
    return (await Promise.all(made)).map(({ profile }) => profile?.id ?? "");
  };
  const record = async (type: string, amount: string, time: number | bigint, userId = 1n) => {
    const { alertCodes } = await events.call(recordAction, { type, amount, userId, time: BigInt(time) }, as);
    return alertCodes;
  };
  const fired = async (filter: { userId?: string; code?: number } = {}) =>
    (await events.call(listAlerts, { ...filter, pageSize: 500 }, as)).alerts;

  test.each<[string, Step[]]>([
    [
      "a withdrawal of 100 is not over 100",
      [
        ["withdraw", "100.00", 0],
        ["withdraw", "100.01", 1, 1100],
      ],
    ],
    [
      "three withdrawals in a row, by time",
      [
        ["withdraw", "1", 10],
        ["withdraw", "1", 20],
        ["withdraw", "1", 30, 30],
        ["deposit", "1", 25],
        ["withdraw", "1", 31],
        ["withdraw", "1", 32, 30],
        // This withdrawal is not the latest, but the three latest actions are withdrawals.
        ["withdraw", "1", 0, 30],
      ],
    ],
    [
      "three strictly rising deposits, with any withdrawals between",
      [
        ["deposit", "1", 1],
        ["withdraw", "1", 2],
        ["deposit", "1.01", 3],
        ["deposit", "1.01", 4],
        ["deposit", "1.02", 5],
        ["withdraw", "9", 6],
        ["deposit", "1.1", 7, 300],
        ["deposit", "0.5", 8],
      ],
    ],
    [
      "at the same instant, the later arrival is the later action",
      [
        ["deposit", "1", 5],
        ["deposit", "2", 5],
        ["deposit", "3", 5, 300],
      ],
    ],
    [
      "deposits within 30 seconds, both ends included",
      [
        ["deposit", "100", 10],
        ["deposit", "100", 40],
        ["deposit", "0.01", 40, 123],
        ["deposit", "100", 41, 123],
        // The window ends at the time of the deposit, so later deposits do not count.
        ["deposit", "0.5", 39],
        ["deposit", "100.49", 39, 123],
      ],
    ],
    [
      "amounts are exact",
      [
        ["deposit", "0.10", 0],
        ["deposit", "0.20", 0],
        ["deposit", "199.70", 0, 300],
        ["deposit", "999999999999999999999999999999.99", 1, 123, 300],
      ],
    ],
    [
      "several rules match one action",
      [
        ["withdraw", "101", 0, 1100],
        ["withdraw", "102", 0, 1100],
        ["withdraw", "103", 0, 30, 1100],
      ],
    ],
    [
      "times past the year 9999 are compared as sent",
      [
        ["deposit", "100", FARTHEST - 31n],
        ["deposit", "90", FARTHEST],
        ["deposit", "101", FARTHEST - 1n, 123],
        ["deposit", "90", FARTHEST - 62n],
        ["deposit", "100.01", FARTHEST - 2n, 123],
        ["deposit", "250", 253_402_300_799, 123],
        ["deposit", "1", 253_402_300_800, 123],
        ["deposit", "1", 253_402_300_831],
      ],
    ],
  ])("%s", async (_name, steps) => {
    await known("1");
    const codes: number[][] = [];
    for (const [type, amount, time] of steps) codes.push(await record(type, amount, time));
    expect(codes).toEqual(steps.map(([, , , ...expected]) => expected));
  });

  test("an unknown user is rejected and no event is stored; an existing user is found by the digits of the id", async () => {
    await known("01", "1.0");
    await expectReason(record("deposit", "300", 0), "PROFILE_NOT_FOUND");
    const [profileId = ""] = await known("1");
    expect(await fired()).toEqual([]);
    const response = await events.call(
      recordAction,
      { type: "deposit", amount: "300", userId: 1n, time: 10n },
      as,
    );
    expect(response).toMatchObject({ alert: true, alertCodes: [123], userId: 1n });
    const { events: listed } = await events.call(listEvents, { profileId }, as);
    expect(listed).toMatchObject([
      { name: "deposit", properties: '{"amount":"300","time":10}', timestamp: timestampFromMs(10_000) },
    ]);
  });

  test.each<[string, object]>([
    ["type", { type: "Deposit" }],
    ["type", { type: undefined }],
    ["amount", { amount: "0.00" }],
    ["amount", { amount: "-5.00" }],
    ["amount", { amount: "42.505" }],
    ["amount", { amount: "1e2" }],
    ["amount", { amount: "1." }],
    ["amount", { amount: ".5" }],
    ["amount", { amount: "" }],
    ["amount", { amount: "٣" }],
    ["amount", { amount: "1\n" }],
    ["amount", { amount: "1".repeat(31) }],
    ["amount", { amount: undefined }],
    ["user_id", { userId: -1n }],
    ["user_id", { userId: 2n ** 53n }],
    ["user_id", { userId: undefined }],
    ["time", { time: -1n }],
    ["time", { time: 2n ** 53n }],
    ["time", { time: undefined }],
  ])("a wrong %s is refused: %o", async (field, change) => {
    await known("1");
    const good = { type: "deposit", amount: "1", userId: 1n, time: 0n };
    await expectReason(events.call(recordAction, { ...good, ...change }, as), "FIELD_INVALID", {
      fields: [{ field }],
    });
  });

  test("each call is a separate action; a repeated idempotency key returns the stored response", async () => {
    await known("1");
    expect(await record("deposit", "150", 0)).toEqual([]);
    expect(await record("deposit", "150", 0)).toEqual([123]);
    const request = { type: "withdraw", amount: "150", userId: 1n, time: 0n };
    const keyed = { ...as, idempotencyKey: "k" };
    const first = await events.callWithHeaders(recordAction, request, keyed);
    const again = await events.callWithHeaders(recordAction, request, keyed);
    expect(first.message.alertCodes).toEqual([1100]);
    expect(again.message).toEqual(first.message);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(await fired({ code: 1100 })).toHaveLength(1);
  });

  test("events of any route are evaluated; events without an amount are not actions", async () => {
    const sent = (name: string, properties: string, atMs: number) => ({
      identity: { case: "userId" as const, value: "new" },
      name,
      properties,
      timestamp: timestampFromMs(atMs),
    });
    const { results } = await events.call(
      batchRecordEvents,
      {
        events: [
          sent("withdraw", '{"amount":1}', 1),
          sent("withdraw", '{"amount":"1.50"}', 2),
          sent("withdraw", "{}", 3),
          sent("withdraw", '{"amount":"1e3"}', 4),
          sent("withdraw", '{"nested":{"amount":1000}}', 5),
          sent("withdraw", '{"amount":1.005e2,"nested":{"amount":1}}', 6),
          sent("Withdraw", '{"amount":1000}', 7),
          sent("deposit", '{"amount":200.0000000001}', 8),
        ],
      },
      as,
    );
    const alerts = await fired();
    expect(alerts.map(({ code, eventId }) => [code, results.findIndex(({ id }) => id === eventId)])).toEqual([
      [123, 7],
      [1100, 5],
      [30, 5],
    ]);
    expect(alerts[0]).toMatchObject({
      userId: "new",
      profileId: results[0]?.profileId,
      eventName: "deposit",
      timestamp: timestampFromMs(8),
      fireTime: timestampFromMs(clock.nowMs()),
    });
  });

  test("a random history of several persons, in batches and single calls, fires as in the reference", async () => {
    const random = (() => {
      let state = 7;
      return (below: number): number => {
        state = (state * 48271) % 2147483647;
        return state % below;
      };
    })();
    await known("1", "2", "3");
    const references = new Map([1, 2, 3].map((user) => [user, new ReferenceAlerts()]));
    const expected: string[] = [];
    for (let round = 0; round < 40; round += 1) {
      const batch = Array.from({ length: 1 + random(12) }, () => {
        const action: ReferenceAction = {
          name: random(2) === 0 ? "deposit" : "withdraw",
          amount: `${1 + random(120)}.${random(10)}`,
          time: random(150),
        };
        return { user: 1 + random(3), action };
      });
      for (const { user, action } of batch) {
        for (const code of references.get(user)?.record(action) ?? []) expected.push(`${user} ${code}`);
      }
      const [only] = batch;
      if (batch.length === 1 && only !== undefined) {
        await record(only.action.name, only.action.amount, only.action.time, BigInt(only.user));
        continue;
      }
      const sent = batch.map(({ user, action: { name, amount, time } }) => ({
        identity: { case: "userId" as const, value: String(user) },
        name,
        properties: JSON.stringify({ amount }),
        timestamp: timestampFromMs(time * 1000),
      }));
      await events.call(batchRecordEvents, { events: sent }, as);
    }
    const alerts = await fired();
    expect(expected.length).toBeGreaterThan(50);
    expect(alerts.map(({ userId, code }) => `${userId} ${code}`).sort()).toEqual(expected.sort());
  });

  test("a fired alert is published once, in the shard of the person", async () => {
    const [profileId = ""] = await known("1");
    await record("withdraw", "500", 1);
    await record("deposit", "500", 2);
    const { envelopes } = await events.announced();
    const published = envelopes
      .filter(({ type }) => type === "muster.events.alert.fired.v1")
      .flatMap(({ data }) => fromBinary(AlertsFiredSchema, data).alerts)
      .filter((alert) => uuidToBytes(organizationId).equals(alert.organizationId));
    const alerts = (await fired()).reverse();
    expect(alerts.map(({ code }) => code)).toEqual([1100, 123]);
    expect(
      published.map(({ alertId, ruleId, eventId, ...alert }) => ({
        id: bytesToUuid(alertId),
        ruleId: bytesToUuid(ruleId),
        eventId: bytesToUuid(eventId),
        code: alert.code,
        eventName: alert.eventName,
        profileId: bytesToUuid(alert.profileId),
      })),
    ).toEqual(
      alerts.map(({ id, ruleId, eventId, code, eventName }) => ({
        id,
        ruleId,
        eventId,
        code,
        eventName,
        profileId,
      })),
    );
  });

  test("pages of a list repeat and skip no alert, also by user and by code", async () => {
    await known("1", "2");
    for (let index = 0; index < 7; index += 1) {
      await record("withdraw", "101", index, BigInt(1 + (index % 2)));
      await clock.advance(index % 3);
    }
    const whole = await fired();
    const walk = async (filter: { userId?: string; code?: number }) => {
      const ids: string[] = [];
      for (let pageToken = ""; ; ) {
        const page = await events.call(listAlerts, { ...filter, pageSize: 2, pageToken }, as);
        ids.push(...page.alerts.map(({ id }) => id));
        pageToken = page.nextPageToken;
        if (pageToken === "") return ids;
      }
    };
    const idsOf = (keep: (alert: (typeof whole)[number]) => boolean) =>
      whole.filter(keep).map(({ id }) => id);
    expect(whole.filter(({ code }) => code === 1100)).toHaveLength(7);
    expect(await walk({})).toEqual(idsOf(() => true));
    expect(await walk({ userId: "2" })).toEqual(idsOf(({ userId }) => userId === "2"));
    expect(await walk({ code: 30 })).toEqual(idsOf(({ code }) => code === 30));
    expect(await walk({ userId: "1", code: 1100 })).toEqual(
      idsOf(({ userId, code }) => userId === "1" && code === 1100),
    );
    expect(await walk({ userId: "nobody" })).toEqual([]);
    const { nextPageToken: pageToken } = await events.call(listAlerts, { pageSize: 2 }, as);
    for (const other of [{ userId: "1" }, { code: 30 }]) {
      await expectReason(events.call(listAlerts, { ...other, pageToken }, as), "PAGE_TOKEN_INVALID");
    }
  });

  test("merged persons share a history, and have separate histories again after an unmerge", async () => {
    const [first = "", second = ""] = await known("1", "2");
    await record("withdraw", "1", 10, 1n);
    await record("deposit", "150", 10, 2n);
    await clock.advance(1);
    await record("withdraw", "1", 20, 2n);
    await events.call(mergeProfile, { profileId: second, into: first }, as);
    await clock.advance(1);
    // 10 withdraw, 10 deposit, 20 withdraw, 30 withdraw: the deposit arrived after the first withdrawal.
    expect(await record("withdraw", "1", 30, 2n)).toEqual([]);
    expect(await record("withdraw", "1", 31, 1n)).toEqual([30]);
    expect(await record("deposit", "51", 40, 1n)).toEqual([123]);
    const alerts = await fired({ userId: "2" });
    expect(alerts.map(({ code, profileId, userId }) => [code, profileId, userId])).toEqual([
      [123, first, "1"],
      [30, first, "1"],
    ]);
    expect(await fired({ userId: "1" })).toEqual(alerts);
    await events.call(unmergeProfile, { profileId: second }, as);
    expect(await record("deposit", "149.01", 40, 1n)).toEqual([123]);
    expect(await record("deposit", "49", 40, 2n)).toEqual([]);
    expect(await record("withdraw", "1", 41, 2n)).toEqual([]);
    expect((await fired({ userId: "1" })).map(({ code }) => code)).toEqual([123, 123, 30]);
    expect(await fired({ userId: "2" })).toEqual([]);
  });

  test("persons and actions of another organization are not found", async () => {
    await known("1");
    await record("withdraw", "1", 1);
    await record("withdraw", "1", 2);
    const other = { organizationId: newOrganization() };
    const request = { type: "withdraw", amount: "1", userId: 1n, time: 3n };
    await expectReason(events.call(recordAction, request, other), "PROFILE_NOT_FOUND");
    await events.call(createProfile, { userId: "1" }, other);
    expect((await events.call(recordAction, request, other)).alertCodes).toEqual([]);
    expect(await record("withdraw", "1", 3)).toEqual([30]);
    expect((await events.call(listAlerts, {}, other)).alerts).toEqual([]);
  });
});
