// Runs segments beside the real events service and compares memberships with the submitted events.
import { EmbeddedBus } from "@muster/bus/embedded";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { type OrganizationId, randomIds, systemClock } from "@muster/core";
import { eventsModule } from "@muster/service-events";
import { ENGINES } from "@muster/testkit";
import { startModule, testLogger } from "@muster/testkit/module";
import { activeDays, all, inactiveFor, inSegment, not, performed, sum, trait } from "@muster/testkit/rules";
import { afterEach, describe, expect, test } from "vitest";
import { isMemberByRawEvents } from "../src/engine/reference/reference-evaluator.ts";
import { matcherOf } from "../src/engine/rule/matcher.ts";
import type { Rule } from "../src/engine/rule/rule.ts";
import { segmentsModule } from "../src/module.ts";

const NAMES = ["product.viewed", "cart.added", "order.completed"];

describe.each(ENGINES)("segments beside events on %s", (engine) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const clock = systemClock;

  async function open() {
    const bus = new EmbeddedBus({ clock, log: testLogger() });
    closing.push(() => bus.close());
    const events = await startModule(eventsModule, engine, { clock, bus });
    closing.push(() => events.close());
    const caller = events.dispatcher;
    const callers = { events: caller, identity: caller };
    const segments = await startModule(segmentsModule, engine, { clock, bus, callers });
    closing.push(() => segments.close());
    const as = { organizationId: randomIds.next<OrganizationId>(clock.nowMs()) };
    return {
      events: events.client(EventService, as),
      profiles: events.client(ProfileService, as),
      segments: segments.client(SegmentService, as),
    };
  }

  test("every read includes every event that was acknowledged before it", async () => {
    const { events, segments } = await open();
    await segments.createSegment({ name: "Early", eventName: "order.completed", minCount: 1 });
    const submitted: { user: string; eventName: string; ms: number }[] = [];
    const nowMs = clock.nowMs();
    for (let round = 0; round < 4; round += 1) {
      // Deterministic and varied: late, out of order, many events of a profile and many profiles.
      const batch = Array.from({ length: 150 }, (_, index) => ({
        user: `user ${(index * 7 + round * 3) % 40}`,
        eventName: NAMES[(index * index + round) % 3] ?? "",
        ms: nowMs - ((index * 7919 + round * 104_729) % 1_000_000),
      }));
      submitted.push(...batch);
      const { results } = await events.batchRecordEvents({
        events: batch.map(({ user, eventName, ms }) => ({
          identity: { case: "userId", value: user },
          name: eventName,
          timestamp: { seconds: BigInt(Math.floor(ms / 1000)), nanos: (((ms % 1000) + 1000) % 1000) * 1e6 },
        })),
      });
      expect(results).toHaveLength(batch.length);
      await segments.createSegment({
        name: `Round ${round}`,
        eventName: "product.viewed",
        minCount: 2 + round,
      });
      await check("early", performedRule("order.completed", 1));
      await check(`round-${round}`, performedRule("product.viewed", 2 + round));
      await check("abandoned-cart", {
        kind: "performed_then_not",
        matcher: matcherOf("cart.added"),
        thenNot: matcherOf("order.completed"),
        heldForMs: 0,
      });
    }

    async function check(segmentId: string, rule: Rule): Promise<void> {
      const expected = new Set(submitted.map(({ user }) => user));
      for (const user of expected) {
        const own = submitted.filter((event) => event.user === user);
        if (!isMemberByRawEvents(rule, own, nowMs)) expected.delete(user);
      }
      const { profiles } = await segments.listSegmentMembers({ segmentId, pageSize: 500 });
      expect(profiles.map(({ userId }) => userId).sort()).toEqual([...expected].sort());
      const { segment } = await segments.getSegment({ segmentId });
      expect(Number(segment?.memberCount)).toBe(expected.size);
    }
  });

  test("a member has its profile's fields; a profile lists its segments", async () => {
    const { events, profiles, segments } = await open();
    const { profile } = await profiles.createProfile({
      userId: "ada",
      email: "Ada@example.test",
      name: "Ada",
      traits: '{"plan":"gold"}',
    });
    const profileId = profile?.id ?? "";
    expect((await segments.listProfileSegments({ profileId })).segments).toEqual([]);
    await events.recordProfileEvent({ profileId, name: "cart.added" });
    const page = await segments.listSegmentMembers({ segmentId: "abandoned-cart" });
    expect(page.profiles).toMatchObject([
      { id: profileId, userId: "ada", email: "Ada@example.test", name: "Ada", traits: '{"plan":"gold"}' },
    ]);
    expect(page.profiles[0]?.createTime).toEqual(profile?.createTime);
    const { segments: own } = await segments.listProfileSegments({ profileId });
    expect(own.map(({ slug }) => slug)).toEqual(["abandoned-cart"]);
    await events.recordProfileEvent({ profileId, name: "order.completed" });
    expect((await segments.listProfileSegments({ profileId })).segments).toEqual([]);
  });

  test("rules about missing events, traits and other segments are exact", async () => {
    const { events, profiles, segments } = await open();
    const rules = {
      never: not(performed("order.completed").atLeast(1)),
      none: performed("order.completed").exactly(0),
      pro: trait('traits.plan == "pro"'),
      shoes: performed("product.viewed").where('properties.category == "shoes"').atLeast(2),
      spent: sum("order.completed", "total").atLeast(0.3),
      "pro-who-spent": all(inSegment("pro"), inSegment("spent")),
      quiet: inactiveFor("1d"),
      today: activeDays(1, 2, "Asia/Tokyo"),
    };
    const define = async () => {
      for (const [name, rule] of Object.entries(rules)) await segments.createSegment({ name, rule });
    };
    const check = async (expected: Record<keyof typeof rules, string[]>) => {
      const found = Object.keys(rules).map(async (name) => {
        const page = await segments.listSegmentMembers({ segmentId: name, pageSize: 500 });
        return [name, page.profiles.map(({ userId }) => userId).sort()];
      });
      expect(Object.fromEntries(await Promise.all(found))).toEqual(expected);
    };

    await define();
    const { profile: ada } = await profiles.createProfile({ userId: "ada", traits: '{"plan":"pro"}' });
    await profiles.createProfile({ userId: "bob" });
    const profileId = ada?.id ?? "";
    const nobody = { shoes: [], spent: [], "pro-who-spent": [], quiet: [], today: [] };
    await check({ ...nobody, never: ["ada", "bob"], none: ["ada", "bob"], pro: ["ada"] });

    const record = (user: string, name: string, properties: object) =>
      events.recordEvent({
        event: { identity: { case: "userId", value: user }, name, properties: JSON.stringify(properties) },
      });
    await record("cleo", "product.viewed", { category: "shoes" });
    await record("cleo", "product.viewed", { category: "shoes" });
    await record("cleo", "product.viewed", { category: "hats" });
    await record("dan", "product.viewed", { category: "hats" });
    await record("ada", "order.completed", { total: 0.1 });
    await record("ada", "order.completed", { total: 0.2 });
    const everybody = ["ada", "cleo", "dan"];
    const never = ["bob", "cleo", "dan"];
    const some = { shoes: ["cleo"], quiet: [], today: everybody, never, none: never };
    await check({ ...some, spent: ["ada"], pro: ["ada"], "pro-who-spent": ["ada"] });

    await profiles.updateProfile({ profileId, profile: { traits: '{"plan":"free"}' } });
    await profiles.createProfile({ userId: "eve", traits: '{"plan":"pro"}' });
    const now = {
      ...some,
      spent: ["ada"],
      pro: ["eve"],
      "pro-who-spent": [],
      never: [...never, "eve"],
      none: [...never, "eve"],
    };
    await check(now);
    // The same segments again, from backfills.
    for (const name of Object.keys(rules).reverse()) await segments.deleteSegment({ segmentId: name });
    await define();
    await check(now);
  });

  function performedRule(eventName: string, n: number): Rule {
    return {
      kind: "performed",
      matcher: matcherOf(eventName),
      count: { kind: "at_least", n },
      window: undefined,
    };
  }
});
