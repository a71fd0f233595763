// Tests which ids tracking calls may link: placeholder ids, known users, limits, and how a caller learns that
// ids were not linked.
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { Database, Transaction } from "@muster/db";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { track, identify, alias, batch, import: importCalls } = TrackingService.method;
const { listProfiles, unmergeProfile } = ProfileService.method;
const PLACEHOLDERS = ["undefined", "NULL", " guest ", "[object Object]", "0", "-1", "  "];
const SKIPPED = "muster_tracking_links_skipped_total";

describe.each(ENGINES)("links of tracking calls on %s", (engine) => {
  let events: EventsUnderTest;
  let as: { organizationId: ReturnType<typeof newOrganization> };

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine);
  });
  afterAll(() => events.close());
  beforeEach(() => {
    as = { organizationId: newOrganization() };
  });

  const profiles = async () => (await events.call(listProfiles, { pageSize: 500 }, as)).profiles;
  const headersOf = async (method: typeof identify | typeof alias, call: Record<string, string>) =>
    (await events.callWithHeaders(method as typeof identify, { call }, as)).headers;
  async function countOf(reason: string, run: () => Promise<unknown>): Promise<number> {
    const before = await events.count(SKIPPED, { reason });
    await run();
    return (await events.count(SKIPPED, { reason })) - before;
  }

  test.each(PLACEHOLDERS)("the placeholder %j never links profiles", async (placeholder) => {
    const people = ["one", "two", "three"];
    for (const id of people) await events.call(track, { call: { anonymousId: id, event: "x" } }, as);
    const skipped = await countOf("placeholder_id", async () => {
      for (const id of people) {
        for (const [method, call] of [
          [alias, { userId: id, previousId: placeholder }],
          [alias, { userId: placeholder, previousId: id }],
          [identify, { userId: placeholder, anonymousId: id }],
          [identify, { userId: id, anonymousId: placeholder }],
        ] as const) {
          const sent = events.call(method as typeof identify, { call }, as);
          await expect(sent).rejects.toMatchObject({ reason: "FIELD_INVALID", fields: [{}] });
        }
      }
    });
    expect(skipped).toBe(12);
    expect((await profiles()).map(({ anonymousId }) => anonymousId)).toEqual(people);
  });

  test("a batch skips and counts calls that would link by a placeholder", async () => {
    const calls = [
      { type: "identify", userId: "u", anonymousId: "a" },
      { type: "alias", userId: "u", previousId: "undefined" },
      { type: "alias", userId: "v", previousId: "undefined" },
      { type: "track", userId: "undefined", event: "x" },
    ];
    const before = await events.count("muster_tracking_calls_rejected_total");
    await events.call(batch, { batch: calls }, as);
    await events.call(importCalls, { batch: calls }, as);
    expect((await events.count("muster_tracking_calls_rejected_total")) - before).toBe(4);
    expect((await profiles()).map(({ userId }) => userId)).toEqual(["u", "undefined"]);
    const refused = events.call(batch, { batch: calls.slice(1, 3) }, as);
    await expect(refused).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      fields: [{ field: "batch[0].previous_id" }, { field: "batch[1].previous_id" }],
    });
  });

  test("calls with a placeholder alone are stored under a profile of that id, without an email", async () => {
    await events.call(track, { call: { userId: "guest", anonymousId: "a", event: "x" } }, as);
    await events.call(identify, { call: { userId: "guest", traits: '{"email":"ada@example.test"}' } }, as);
    const [guest, ...others] = await profiles();
    expect(others).toEqual([]);
    expect(guest).toMatchObject({ userId: "guest", traits: '{"email":"ada@example.test"}' });
    expect(guest?.email).toBeUndefined();
    const { listEvents } = EventService.method;
    const { events: listed } = await events.call(listEvents, { profileId: guest?.id ?? "" }, as);
    expect(listed.map(({ name }) => name).sort()).toEqual(["user.identified", "x"]);
    await events.call(identify, { call: { userId: "ada", traits: '{"email":"ada@example.test"}' } }, as);
    expect((await profiles())[1]).toMatchObject({ userId: "ada", email: "ada@example.test" });
  });

  test("known users stay apart, and the response and the metric show it", async () => {
    await events.call(identify, { call: { userId: "u", anonymousId: "a" } }, as);
    await events.call(track, { call: { userId: "v", event: "x" } }, as);
    for (const [method, call] of [
      [alias, { userId: "v", previousId: "u" }],
      [alias, { userId: "v", previousId: "a" }],
      [alias, { userId: "new", previousId: "u" }],
      [identify, { userId: "v", anonymousId: "a" }],
    ] as const) {
      const skipped = await countOf("known_users", async () => {
        const headers = await headersOf(method, call);
        expect(headers.get("muster-link-skipped")).toBe("known_users");
      });
      expect(skipped).toBe(1);
    }
    expect((await profiles()).map(({ userId }) => userId)).toEqual(["u", "v", "new"]);
    const headers = await headersOf(alias, { userId: "u", previousId: "a" });
    expect(headers.has("muster-link-skipped")).toBe(false);
  });

  test("an anonymous id is merged with at most three users, undone merges included", async () => {
    const merged: boolean[] = [];
    await events.call(track, { call: { anonymousId: "a", event: "x" } }, as);
    const [visitor] = await profiles();
    const profileId = visitor?.id ?? "";
    for (const userId of ["u1", "u2", "u3", "u4", "u5", "u3"]) {
      await events.call(track, { call: { userId, event: "x" } }, as);
      const headers = await headersOf(userId === "u5" ? alias : identify, {
        userId,
        ...(userId === "u5" ? { previousId: "a" } : { anonymousId: "a" }),
      });
      merged.push(headers.get("muster-link-skipped") !== "users_per_anonymous_id");
      if (merged.at(-1) === true) await events.call(unmergeProfile, { profileId }, as);
    }
    // A user of an earlier merge is not one more user.
    expect(merged).toEqual([true, true, true, false, false, true]);
    expect((await profiles()).map(({ userId }) => userId)).toEqual([undefined, "u1", "u2", "u3", "u4", "u5"]);
  });

  test("a person with 1,000 profiles gets no more, visibly", { timeout: 120_000 }, async () => {
    const calls = Array.from({ length: 1010 }, (_, index) => ({
      type: "alias",
      userId: "u",
      previousId: `p${index}`,
    }));
    const before = await events.count("muster_tracking_calls_rejected_total");
    await events.call(batch, { batch: calls }, as);
    expect(await profiles()).toMatchObject([{ userId: "u" }]);
    // The first previous id joins the profile of the user, so 1,000 profiles hold 1,000 previous ids.
    expect((await events.count("muster_tracking_calls_rejected_total")) - before).toBe(10);
    await expectReason(
      events.call(alias, { call: { userId: "u", previousId: "one more" } }, as),
      "MERGE_LIMIT_REACHED",
    );
    const skipped = await countOf("merge_limit", async () => {
      const headers = await headersOf(identify, { userId: "u", anonymousId: "another" });
      expect(headers.get("muster-link-skipped")).toBe("merge_limit");
      expect((await headersOf(identify, { userId: "u" })).has("muster-link-skipped")).toBe(false);
    });
    expect(skipped).toBe(1);
    await events.call(track, { call: { anonymousId: "another", event: "x" } }, as);
    expect(await profiles()).toHaveLength(2);
  });

  test("a batch of identity calls reads the group of their person once per commit", async () => {
    let rows = 0;
    const counting = (database: Database): Database =>
      new Proxy(database, {
        get(target, key) {
          const value = Reflect.get(target, key, target);
          if (key !== "transaction") return typeof value === "function" ? value.bind(target) : value;
          return (body: (trx: Transaction) => Promise<unknown>) =>
            target.transaction((trx) => {
              trx.on("query-response", (found: unknown) => {
                rows += Array.isArray(found) ? found.length : 0;
              });
              return body(trx);
            });
        },
      });
    const other = await EventsUnderTest.open(engine, { beside: events, wrap: counting });
    const aliases = (from: number, count: number) =>
      Array.from({ length: count }, (_, index) => ({
        type: "alias",
        userId: "u",
        previousId: `p${from + index}`,
      }));
    await other.call(batch, { batch: aliases(0, 150) }, as);
    rows = 0;
    await other.call(batch, { batch: aliases(150, 50) }, as);
    // Reading the group for each call would read 50 × 150 profiles.
    expect(rows).toBeGreaterThan(150);
    expect(rows).toBeLessThan(1500);
    await other.close();
  });
});
