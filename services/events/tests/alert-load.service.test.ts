// Tests a batch whose events fire many alerts: the process serves others meanwhile, and every alert is stored,
// returned and published.
import { fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AlertRuleKind } from "@muster/contracts/muster/events/v1/alert_pb";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { EventResultStatus, EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { AlertsFiredSchema } from "@muster/contracts/muster/events/v1/events_events_pb";
import { bytesToUuid, systemClock, uuidToBytes } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { createAlertRule, listAlerts } = AlertService.method;
const { batchRecordEvents } = EventService.method;
const RULES = 40;
const EVENTS = 600;

describe.each(ENGINES)("a batch with many alerts on %s", (engine) => {
  let events: EventsUnderTest;
  beforeAll(async () => {
    events = await EventsUnderTest.open(engine, { clock: systemClock });
  });
  afterAll(() => events.close());

  test("leaves turns to others and loses no alert", { timeout: 120_000 }, async () => {
    const organizationId = newOrganization();
    const as = { organizationId };
    for (let index = 0; index < RULES; index += 1) {
      const rule = {
        code: 5000 + index,
        name: "sum",
        kind: AlertRuleKind.WINDOW_SUM,
        eventName: "win",
        property: "amount",
        threshold: "1.5",
        windowSeconds: 31_622_400 - index,
      };
      await events.call(createAlertRule, rule, as);
    }
    const now = Date.now();
    const sent = Array.from({ length: EVENTS }, (_, index) => ({
      identity: { case: "userId" as const, value: "1" },
      name: "win",
      properties: '{"amount":1}',
      // In no order: late actions cost the same.
      timestamp: timestampFromMs(now - ((index * 7919) % EVENTS) * 6_000),
    }));
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    const { results } = await events.call(batchRecordEvents, { events: sent }, as);
    isDone = true;
    // Without slices a batch takes about ten turns on SQLite, however long its evaluation runs.
    expect(turns).toBeGreaterThan(25);
    // An action fires as soon as an earlier arrival lies before it.
    let earliest = Number.POSITIVE_INFINITY;
    const fires = sent.map(({ timestamp }) => {
      const ms = Number(timestamp.seconds) * 1000 + timestamp.nanos / 1e6;
      const isSecond = earliest < ms;
      earliest = Math.min(earliest, ms);
      return isSecond;
    });
    expect(results.every(({ status }) => status === EventResultStatus.STORED)).toBe(true);
    const total = fires.filter(Boolean).length * RULES;
    const { envelopes } = await events.announced();
    const published = envelopes
      .filter(({ type }) => type === "muster.events.alert.fired.v1")
      .flatMap(({ data }) => fromBinary(AlertsFiredSchema, data).alerts);
    expect(new Set(published.map(({ alertId }) => Buffer.from(alertId).toString("hex"))).size).toBe(total);
    const [stored] = await events.database
      .reader("alerts")
      .where("organization_id", uuidToBytes(organizationId))
      .count({ alerts: "*" });
    expect(Number(stored?.alerts)).toBe(total);
    const firedBy = Map.groupBy(published, ({ eventId }) => bytesToUuid(eventId));
    expect(results.map(({ id }) => firedBy.get(id ?? "")?.length ?? 0)).toEqual(
      fires.map((hasFired) => (hasFired ? RULES : 0)),
    );
    // Alerts of an event are published and listed in the order of codes.
    const codes = Array.from({ length: RULES }, (_, index) => 5000 + index);
    for (const own of firedBy.values()) expect(own.map(({ code }) => code)).toEqual(codes);
    const { alerts } = await events.call(listAlerts, { pageSize: RULES }, as);
    expect(alerts.map(({ code }) => code)).toEqual(codes.toReversed());
  });
});
