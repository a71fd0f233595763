// Tests changes of alert rules: rejected changes, immediate effects, and the start of histories.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AlertRuleKind } from "@muster/contracts/muster/events/v1/alert_pb";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import type { OrganizationId } from "@muster/core";
import { ENGINES, FakeClock } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { listAlerts, listAlertRules, createAlertRule, getAlertRule, updateAlertRule, deleteAlertRule } =
  AlertService.method;
const { recordEvent, batchRecordEvents } = EventService.method;
const { THRESHOLD, CONSECUTIVE, RISING, WINDOW_SUM } = AlertRuleKind;
type NewRule = MessageInitShape<(typeof createAlertRule)["input"]>;

describe.each(ENGINES)("alert rules on %s", (engine) => {
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

  const rules = async () => (await events.call(listAlertRules, {}, as)).alertRules;
  const codes = async () => (await rules()).map(({ code }) => code);
  const idOf = async (code: number) => (await rules()).find((rule) => rule.code === code)?.id ?? "";
  const add = async (rule: NewRule) => (await events.call(createAlertRule, rule, as)).alertRule;
  const change = (alertRuleId: string, alertRule: object, paths: string[] = []) =>
    events.call(updateAlertRule, { alertRuleId, alertRule, updateMask: { paths } }, as);
  /** The codes that an event fires. */
  const send = async (name: string, properties: object, atMs: number, process = events) => {
    const event = {
      identity: { case: "userId" as const, value: "ada" },
      name,
      properties: JSON.stringify(properties),
      timestamp: timestampFromMs(atMs),
    };
    const { event: stored } = await process.call(recordEvent, { event }, as);
    const { alerts } = await process.call(listAlerts, { userId: "ada", pageSize: 500 }, as);
    return alerts
      .filter(({ eventId }) => eventId === stored?.id)
      .map(({ code }) => code)
      .sort((a, b) => a - b);
  };
  const refund = {
    code: 7,
    name: "Refunds over 50",
    kind: THRESHOLD,
    eventName: "refund",
    property: "value",
    threshold: "50",
  };

  test("every organization starts with four rules, which keep their ids", async () => {
    const found = await rules();
    expect(found).toMatchObject([
      {
        code: 30,
        kind: CONSECUTIVE,
        eventName: "withdraw",
        otherEventNames: ["deposit"],
        property: "amount",
        count: 3,
        enabled: true,
      },
      { code: 123, kind: WINDOW_SUM, eventName: "deposit", threshold: "200", windowSeconds: 30 },
      { code: 300, kind: RISING, eventName: "deposit", count: 3 },
      { code: 1100, kind: THRESHOLD, eventName: "withdraw", threshold: "100" },
    ]);
    expect(await rules()).toEqual(found);
    await add(refund);
    expect((await rules()).filter(({ code }) => code !== 7)).toEqual(found);
    const [first] = found;
    expect((await events.call(getAlertRule, { alertRuleId: first?.id ?? "" }, as)).alertRule).toEqual(first);
  });

  test("a new rule applies immediately in every process, and a deleted rule no longer applies", async () => {
    const other = await EventsUnderTest.open(engine, { beside: events, clock });
    try {
      expect(await send("refund", { value: 60 }, 1, other)).toEqual([]);
      const added = await add(refund);
      expect(added).toMatchObject({ ...refund, enabled: true, createTime: timestampFromMs(clock.nowMs()) });
      expect(added?.countsSince).toBeUndefined();
      expect(await send("refund", { value: "50.0" }, 2, other)).toEqual([]);
      expect(await send("refund", { value: 50.01 }, 3, other)).toEqual([7]);
      await change(added?.id ?? "", { enabled: false });
      expect(await send("refund", { value: 60 }, 4, other)).toEqual([]);
      await change(added?.id ?? "", { enabled: true, code: 8 });
      expect(await send("refund", { value: 60 }, 5, other)).toEqual([8]);
      await events.call(deleteAlertRule, { alertRuleId: added?.id ?? "" }, as);
      expect(await send("refund", { value: 60 }, 6, other)).toEqual([]);
      expect(await codes()).toEqual([30, 123, 300, 1100]);
      // Fired alerts remain with the code at the time of firing.
      const { alerts } = await events.call(listAlerts, {}, as);
      expect(alerts.map(({ code, ruleId }) => [code, ruleId])).toEqual([
        [8, added?.id],
        [7, added?.id],
      ]);
    } finally {
      await other.close();
    }
  });

  test("a changed threshold, count or window applies to the whole history", async () => {
    for (const [amount, atMs] of [
      [60, 0],
      [61, 40_000],
      [62, 80_000],
      [63, 120_000],
    ] as const) {
      expect(await send("deposit", { amount }, atMs)).not.toContain(123);
    }
    await change(await idOf(123), { windowSeconds: 200 });
    await change(await idOf(300), { count: 5 });
    expect(await send("deposit", { amount: 64 }, 160_000)).toEqual([123, 300]);
    await change(await idOf(123), { threshold: "374.99" });
    expect(await send("deposit", { amount: 65 }, 160_000)).toEqual([123, 300]);
    await change(await idOf(123), { threshold: "1000" });
    await change(await idOf(300), { count: 8 });
    expect(await send("deposit", { amount: 66 }, 160_000)).toEqual([]);
    expect((await rules()).every(({ countsSince }) => countsSince === undefined)).toBe(true);
  });

  test("a history contains only events since a rule recorded the series, and counts_since shows that start", async () => {
    const rising = { name: "Rising", kind: RISING, eventName: "step", property: "height", count: 2 };
    await send("step", { height: 1 }, 1);
    const first = await add({ ...rising, code: 1 });
    expect(first?.countsSince).toEqual(timestampFromMs(clock.nowMs()));
    expect(await send("step", { height: 2 }, 2)).toEqual([]);
    expect(await send("step", { height: 3 }, 3)).toEqual([1]);
    await clock.advance(1000);
    // Another rule over the same series uses the complete history.
    const second = await add({ ...rising, code: 2, count: 3 });
    expect(second?.countsSince).toEqual(first?.countsSince);
    expect(await send("step", { height: 4 }, 4)).toEqual([1, 2]);
    for (const rule of [first, second]) await change(rule?.id ?? "", { enabled: false });
    await send("step", { height: 1 }, 5);
    await clock.advance(1000);
    const { alertRule: again } = await change(first?.id ?? "", { enabled: true });
    // The history starts again, because an interrupted history would be incomplete.
    expect(again?.countsSince).toEqual(timestampFromMs(clock.nowMs()));
    expect(await send("step", { height: 5 }, 6)).toEqual([]);
    expect(await send("step", { height: 6 }, 7)).toEqual([1]);
  });

  test("a run can have any event names, with or without a property", async () => {
    const run = { name: "Failed logins", kind: CONSECUTIVE, eventName: "login.failed", count: 2 };
    await add({ ...run, code: 5, otherEventNames: ["login", "reset"] });
    expect(await send("login.failed", {}, 1)).toEqual([]);
    expect(await send("login.failed", { any: "thing" }, 2)).toEqual([5]);
    expect(await send("reset", {}, 3)).toEqual([]);
    expect(await send("login.failed", {}, 4)).toEqual([]);
    expect(await send("login.failed", {}, 5)).toEqual([5]);
    expect(await send("login", {}, 4)).toEqual([]);
    expect(await send("login.failed", {}, 5)).toEqual([5]);
  });

  test.each<[string, object]>([
    ["code", { code: undefined }],
    ["code", { code: -1 }],
    ["name", { name: "" }],
    ["name", { name: "x".repeat(256) }],
    ["name", { name: "\ud800" }],
    ["kind", { kind: 0 }],
    ["kind", { kind: 9 }],
    ["event_name", { eventName: "" }],
    ["property", { property: undefined }],
    ["property", { property: "" }],
    ["threshold", { threshold: undefined }],
    ["threshold", { threshold: "1e3" }],
    ["threshold", { threshold: "1".repeat(31) }],
    ["threshold", { threshold: `0.${"1".repeat(11)}` }],
    ["count", { count: 3 }],
    ["window_seconds", { windowSeconds: 3 }],
    ["other_event_names", { otherEventNames: ["x"] }],
    ["count", { kind: RISING, threshold: undefined }],
    ["count", { kind: RISING, threshold: undefined, count: 1 }],
    ["count", { kind: RISING, threshold: undefined, count: 101 }],
    ["threshold", { kind: RISING, count: 2 }],
    ["window_seconds", { kind: WINDOW_SUM }],
    ["window_seconds", { kind: WINDOW_SUM, windowSeconds: 0 }],
    ["window_seconds", { kind: WINDOW_SUM, windowSeconds: 31_622_401 }],
    ["other_event_names", { kind: CONSECUTIVE, threshold: undefined, count: 1, otherEventNames: ["refund"] }],
  ])("a wrong %s is refused: %o", async (field, wrong) => {
    await expectReason(add({ ...refund, ...wrong } as NewRule), "FIELD_INVALID", {
      fields: expect.arrayContaining([expect.objectContaining({ field })]),
    });
    expect(await codes()).toEqual([30, 123, 300, 1100]);
  });

  test("codes are unique, and required fields cannot be cleared", async () => {
    const taken = { reason: "ALERT_RULE_CODE_TAKEN", fields: [{ field: "code" }] };
    await expect(add({ ...refund, code: 123 })).rejects.toMatchObject(taken);
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => add(refund)));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const id = await idOf(7);
    await expectReason(change(id, { code: 30 }), "ALERT_RULE_CODE_TAKEN", {
      fields: [{ field: "alert_rule.code" }],
    });
    for (const path of ["code", "name", "event_name", "property", "threshold", "enabled"]) {
      await expectReason(change(id, {}, [path]), "FIELD_INVALID", {
        fields: [{ field: `alert_rule.${path}` }],
      });
    }
    await expect(change(id, {}, ["kind"])).rejects.toMatchObject({ fields: [{ field: "update_mask" }] });
    const { alertRule } = await change(id, { name: "Big refunds", threshold: "70" }, ["threshold"]);
    expect(alertRule).toMatchObject({
      ...refund,
      threshold: "70",
      updateTime: timestampFromMs(clock.nowMs()),
    });
    expect((await change(id, {})).alertRule).toEqual(alertRule);
    expect(await rules()).toContainEqual(alertRule);
  });

  test("each change is a version, and a change of another version is refused", async () => {
    const id = await idOf(123);
    const rename = (name: string, more: object) =>
      events.call(updateAlertRule, { alertRuleId: id, alertRule: { name }, ...more }, as);
    const current = async () => (await events.call(getAlertRule, { alertRuleId: id }, as)).alertRule?.version;
    expect(await current()).toBe(1);
    const both = await Promise.allSettled([
      rename("one", { ifMatch: '"1-x"' }),
      rename("two", { ifMatch: '"1"' }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await current()).toBe(2);
    await expectReason(rename("three", { ifMatch: 'W/"2"' }), "ETAG_MISMATCH", { details: { version: "2" } });
    for (const updateMask of [undefined, { paths: ["name"] }, { paths: ["version"] }]) {
      const stale = rename("three", { alertRule: { name: "three", version: 1 }, updateMask });
      await expectReason(stale, "VERSION_CONFLICT", { details: { version: "2" } });
    }
    const known = await rename("three", { alertRule: { name: "three", version: 2 } });
    expect(known.alertRule).toMatchObject({ name: "three", version: 3 });
    expect((await rename("", { alertRule: { version: 3 } })).alertRule).toEqual(known.alertRule);
    expect((await add(refund))?.version).toBe(1);
  });

  test("an organization has at most a hundred rules and can delete any rule permanently", async () => {
    for (let code = 0; code < 96; code += 1) await add({ ...refund, code: 10_000 + code });
    await expectReason(add(refund), "ALERT_RULE_LIMIT_REACHED");
    expect(await send("refund", { value: 51 }, 1)).toHaveLength(96);
    for (const code of [30, 123, 300, 1100]) {
      await events.call(deleteAlertRule, { alertRuleId: await idOf(code) }, as);
    }
    expect(await codes()).not.toContain(123);
    expect(await send("deposit", { amount: 1000 }, 1)).toEqual([]);
    const pages: number[] = [];
    for (let pageToken = ""; ; ) {
      const page = await events.call(listAlertRules, { pageSize: 7, pageToken }, as);
      pages.push(...page.alertRules.map(({ code }) => code));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    expect(pages).toEqual(Array.from({ length: 96 }, (_, index) => 10_000 + index));
  });

  test("rules of another organization are not found", async () => {
    const added = await add(refund);
    const other = { organizationId: newOrganization() };
    const notFound = { reason: "ALERT_RULE_NOT_FOUND" };
    for (const alertRuleId of [added?.id ?? "", await idOf(123), "nonsense", ""]) {
      await expect(events.call(getAlertRule, { alertRuleId }, other)).rejects.toMatchObject(notFound);
      await expect(events.call(updateAlertRule, { alertRuleId }, other)).rejects.toMatchObject(notFound);
      const alertRule = { name: "x" };
      await expect(events.call(updateAlertRule, { alertRuleId, alertRule }, other)).rejects.toMatchObject(
        notFound,
      );
      await expect(events.call(deleteAlertRule, { alertRuleId }, other)).rejects.toMatchObject(notFound);
    }
    expect((await events.call(listAlertRules, {}, other)).alertRules).toHaveLength(4);
    expect(await codes()).toEqual([7, 30, 123, 300, 1100]);
  });

  test("an idempotency key returns the created rule again", async () => {
    const keyed = { ...as, idempotencyKey: "k" };
    const first = await events.call(createAlertRule, refund, keyed);
    expect(await events.call(createAlertRule, refund, keyed)).toEqual(first);
    expect(await codes()).toHaveLength(5);
  });

  test("events of many organizations with different rules share a commit", async () => {
    const organizations = Array.from({ length: 20 }, newOrganization);
    for (const [index, one] of organizations.entries()) {
      const rule = { ...refund, threshold: String(index) };
      await events.call(createAlertRule, rule, { organizationId: one });
    }
    const event = { identity: { case: "userId" as const, value: "ada" }, name: "refund" };
    const sent = [5, 15].map((value) => ({ ...event, properties: JSON.stringify({ value }) }));
    await Promise.all(
      organizations.map((one) => events.call(batchRecordEvents, { events: sent }, { organizationId: one })),
    );
    const counts = await Promise.all(
      organizations.map(
        async (one) => (await events.call(listAlerts, {}, { organizationId: one })).alerts.length,
      ),
    );
    expect(counts).toEqual(
      organizations.map((_, threshold) => (5 > threshold ? 1 : 0) + (15 > threshold ? 1 : 0)),
    );
  });
});
