// Tests concurrent actions of a person through two processes: the alerts equal those of some sequential
// order.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { type OrganizationId, SeededRandom, uuidToBytes } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { HistoryAction } from "../src/alert-history/history-action.ts";
import { NewestCell } from "../src/alert-history/history-cell.ts";
import { defaultRuleSet } from "../src/alert-rules/rule-store.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";
import { type ReferenceAction, ReferenceAlerts } from "./reference-alerts.ts";

const { recordAction, listAlerts } = AlertService.method;
const { batchRecordEvents, listEvents } = EventService.method;
const { createProfile, listProfiles, mergeProfile, unmergeProfile } = ProfileService.method;

describe.each(ENGINES)("concurrent actions on %s", (engine) => {
  let processes: [EventsUnderTest, EventsUnderTest];
  let organizationId: OrganizationId;
  let as: { organizationId: OrganizationId };

  beforeAll(async () => {
    const first = await EventsUnderTest.open(engine);
    processes = [first, await EventsUnderTest.open(engine, { beside: first })];
  });
  afterAll(async () => {
    for (const one of [...processes].reverse()) await one.close();
  });
  beforeEach(() => {
    organizationId = newOrganization();
    as = { organizationId };
  });

  const codesByEvent = async (): Promise<Map<string, number[]>> => {
    const codes = new Map<string, number[]>();
    for (let pageToken = ""; ; ) {
      const page = await processes[0].call(listAlerts, { pageSize: 500, pageToken }, as);
      for (const { eventId, code } of page.alerts) {
        codes.set(
          eventId,
          [...(codes.get(eventId) ?? []), code].sort((a, b) => a - b),
        );
      }
      pageToken = page.nextPageToken;
      if (pageToken === "") return codes;
    }
  };
  const eventsOf = async (profileId: string) => {
    const page = await processes[0].call(listEvents, { profileId, pageSize: 500 }, as);
    return page.events;
  };

  test("parallel deposits of equal size fire as often as sequential deposits", async () => {
    await processes[0].call(createProfile, { userId: "1" }, as);
    // In any order, the third and each later deposit raises the sum above 200.
    const responses = await Promise.all(
      Array.from({ length: 40 }, (_, index) => {
        const request = { type: "deposit", amount: "70", userId: 1n, time: BigInt(index % 2) };
        return (processes[index % 2] ?? processes[0]).call(recordAction, request, as);
      }),
    );
    // Deposits of second 0 count deposits of second 0 only; deposits of second 1 count all earlier deposits.
    const fired = responses.filter(({ alertCodes }) => alertCodes.includes(123)).length;
    expect(fired).toBeGreaterThanOrEqual(40 - 2 - 2);
    expect(fired).toBeLessThanOrEqual(40 - 2);
    const responded = responses.flatMap(({ alertCodes }) => alertCodes).length;
    expect([...(await codesByEvent()).values()].flat()).toHaveLength(responded);
  });

  test("parallel batches and single actions equal a sequential replay in order of arrival", async () => {
    const numbers = new SeededRandom(11);
    const random = (): number => numbers.next();
    await processes[0].call(createProfile, { userId: "1" }, as);
    const { profiles } = await processes[0].call(listProfiles, {}, as);
    const profileId = profiles[0]?.id ?? "";
    const action = (): ReferenceAction => ({
      name: random() < 0.5 ? "deposit" : "withdraw",
      amount: `${1 + Math.floor(random() * 110)}.${Math.floor(random() * 10)}`,
      time: Math.floor(random() * 400),
    });
    const sends = Array.from({ length: 24 }, (_, index) => async () => {
      const process = processes[index % 2] ?? processes[0];
      if (index % 3 === 0) {
        const { name, amount, time } = action();
        await process.call(recordAction, { type: name, amount, userId: 1n, time: BigInt(time) }, as);
        return;
      }
      const sent = Array.from({ length: 1 + Math.floor(random() * 8) }, () => {
        const { name, amount, time } = action();
        return {
          identity: { case: "userId" as const, value: "1" },
          name,
          properties: JSON.stringify({ amount }),
          timestamp: timestampFromMs(time * 1000),
        };
      });
      await process.call(batchRecordEvents, { events: sent }, as);
    });
    await Promise.all(sends.map((send) => send()));
    const stored = await eventsOf(profileId);
    const arrivals = await arrivalsOf(processes[0], profileId);
    expect(arrivals.length).toBeGreaterThan(50);
    // The order of arrival and the events alone determine the expected alerts.
    const left = [...stored];
    const reference = new ReferenceAlerts();
    const expected: [string, number[]][] = [];
    for (const { name, orderMs, amount } of arrivals) {
      const at = left.findIndex((event) => {
        const properties = JSON.parse(event.properties) as { amount: string };
        const tenths = BigInt(properties.amount.replace(".", "")) * 10n ** 9n;
        return event.name === name && msOf(event) === orderMs && tenths === amount;
      });
      const [event] = left.splice(at, 1);
      if (event === undefined || at < 0) throw new Error("an action without a stored event");
      const properties = JSON.parse(event.properties) as { amount: string };
      const codes = reference.record({ name, amount: properties.amount, time: Number(orderMs) / 1000 });
      if (codes.length > 0) expected.push([event.id, codes]);
    }
    expect(left).toEqual([]);
    expect(Object.fromEntries(await codesByEvent())).toEqual(Object.fromEntries(expected));
  });

  test("actions during a merge and an unmerge are evaluated with the history before or after the change", async () => {
    const ids = await Promise.all(
      ["1", "2"].map(async (userId) => {
        const { profile } = await processes[0].call(createProfile, { userId }, as);
        return profile?.id ?? "";
      }),
    );
    const [first = "", second = ""] = ids;
    const record = (index: number) => {
      const request = { type: "withdraw", amount: "1", userId: BigInt(1 + (index % 2)), time: BigInt(index) };
      return (processes[index % 2] ?? processes[0]).call(recordAction, request, as);
    };
    for (let round = 0; round < 4; round += 1) {
      await Promise.all([
        ...Array.from({ length: 10 }, (_, index) => record(100 * round + index)),
        processes[round % 2]?.call(mergeProfile, { profileId: second, into: first }, as),
      ]);
      await Promise.all([
        ...Array.from({ length: 10 }, (_, index) => record(100 * round + 50 + index)),
        processes[round % 2]?.call(unmergeProfile, { profileId: second }, as),
      ]);
    }
    // All actions are withdrawals: each except at most the first two of a person is the third in a row.
    const codes = await codesByEvent();
    expect(codes.size).toBeGreaterThanOrEqual(80 - 4);
    for (const id of ids) {
      const own = await eventsOf(id);
      expect(own).toHaveLength(40);
      // No action is lost or counted twice: the history of each profile contains exactly its actions.
      expect(await arrivalsOf(processes[0], id)).toHaveLength(40);
    }
  });

  /** Reads the newest actions of a profile in order of arrival. */
  async function arrivalsOf(process: EventsUnderTest, profileId: string) {
    const arrivals: (HistoryAction & { readonly name: string })[] = [];
    for (const name of ["deposit", "withdraw"]) {
      const eventRules = defaultRuleSet(organizationId).byEventName.get(name);
      const { id = "" } = eventRules?.series.find(({ form }) => form === "newest") ?? {};
      const [row] = await process.database
        .reader("alert_history")
        .select<{ content: Buffer }[]>("content")
        .where("organization_id", uuidToBytes(organizationId))
        .where("profile_id", uuidToBytes(profileId))
        .where("cell", Buffer.from(NewestCell.idOf(id), "hex"));
      const { actions } = NewestCell.decode(row?.content ?? Buffer.alloc(0));
      arrivals.push(...actions.map((action) => ({ ...action, name })));
    }
    return arrivals.sort((a, b) => a.arrival - b.arrival);
  }
});

function msOf(event: {
  readonly timestamp?: { readonly seconds: bigint; readonly nanos: number } | undefined;
}): bigint {
  return (event.timestamp?.seconds ?? 0n) * 1000n + BigInt(Math.floor((event.timestamp?.nanos ?? 0) / 1e6));
}
