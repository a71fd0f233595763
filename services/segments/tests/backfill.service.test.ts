// Backfills next to live messages: snapshots ahead of the applied position, handovers, deletions, lost
// messages. Every result is compared with a brute-force evaluation over the raw events.
import { toBinary } from "@bufbuild/protobuf";
import { TrackedEventsRecordedSchema } from "@muster/contracts/muster/events/v1/events_events_pb";
import { SegmentState } from "@muster/contracts/muster/segments/v1/segment_pb";
import { type OrganizationId, type ProfileId, randomIds, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import { listDeadLetters } from "@muster/outbox";
import { ENGINES, waitFor } from "@muster/testkit";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import { expectReason } from "@muster/testkit/module";
import { all, inSegment, not, performedThenNot, trait } from "@muster/testkit/rules";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { TestEvent } from "./fake-events-service.ts";
import {
  DAY_MS,
  expectExactMembers,
  membersOf,
  openHarness,
  type SegmentsHarness,
} from "./segments-harness.ts";

const WATCHERS = { name: "Watchers", eventName: "viewed", minCount: 2, withinDays: 1 };

describe.each(ENGINES)("backfills on %s", (engine) => {
  let harness: SegmentsHarness;
  afterEach(() => harness.close());

  function event(profileId: ProfileId, name: string, agoMs = 0): TestEvent {
    return { organizationId: harness.organizationId, profileId, name, ms: harness.clock.nowMs() - agoMs };
  }

  async function submitHistory(profiles: number): Promise<ProfileId[]> {
    const ids = Array.from({ length: profiles }, () => harness.newProfile());
    const events = ids.flatMap((id, index) =>
      Array.from({ length: index % 4 }, (_, n) => event(id, "viewed", n * 1000)),
    );
    for (const id of ids) harness.events.addProfile(harness.organizationId, id);
    await harness.events.submit(events);
    return ids;
  }

  async function ticking(work: Promise<void>): Promise<void> {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    await Promise.all([
      done,
      waitFor(async () => {
        await harness.clock.advance(5);
        return isDone;
      }),
    ]);
  }

  test("a segment created after its events contains them at its first read", async () => {
    harness = await openHarness(engine);
    await submitHistory(120);
    await harness.segments.createSegment(WATCHERS);
    await expectExactMembers(harness, "watchers");
    expect((await membersOf(harness.segments, "watchers", 7)).length).toBe(60);
  });

  test("events committed during a scan count once: applied later, they are skipped", async () => {
    harness = await openHarness(engine);
    const [ada, bo] = await submitHistory(8);
    if (ada === undefined || bo === undefined) throw new Error("unreachable");
    let during = 0;
    harness.events.beforeScan = async () => {
      if (during === 3) return;
      during += 1;
      // The following scan contains these events. No messages are applied during the step, so they are
      // applied later.
      await harness.events.submit([
        event(ada, "viewed"),
        event(bo, "viewed"),
        event(harness.newProfile(), "viewed"),
      ]);
    };
    await harness.segments.createSegment({ name: "Watchers", eventName: "viewed", minCount: 4 });
    await expectExactMembers(harness, "watchers");
    expect(during).toBe(3);
  });

  test("a backfill reads the events of its own rule alone, and the facts of other rules stay exact", async () => {
    harness = await openHarness(engine);
    const ids = await submitHistory(24);
    await harness.segments.createSegment(WATCHERS);
    await harness.segments.createSegment({ name: "Buyers", eventName: "bought", minCount: 1 });
    for (const slug of ["watchers", "buyers"]) await expectExactMembers(harness, slug);
    harness.events.scannedNames.splice(0);
    let during = 0;
    harness.events.beforeScan = async () => {
      during += 1;
      const [first, second] = [ids[during % 24], ids[(during * 7) % 24]];
      if (during > 40 || first === undefined || second === undefined) return;
      // The snapshot contains these events, and their messages are not applied yet. One event is in the future.
      await harness.events.submit([
        event(first, "viewed"),
        event(second, "bought"),
        event(first, "seen"),
        event(second, "viewed", -5_000),
      ]);
    };
    await harness.segments.createSegment({ name: "Seers", eventName: "seen", minCount: 2 });
    for (const slug of ["seers", "watchers", "buyers"]) await expectExactMembers(harness, slug);
    const names = new Set(harness.events.scannedNames.flatMap((one) => one ?? []));
    expect([...names]).toEqual(["seen"]);
    harness.clock.setNowMs(harness.clock.nowMs() + 5_000);
    for (const slug of ["seers", "watchers", "buyers"]) await expectExactMembers(harness, slug);
    // A rule on traits alone reads no event.
    harness.events.scannedNames.splice(0);
    await harness.segments.createSegment({ name: "Rich", rule: trait("traits.a == 1") });
    for (const slug of ["rich", "seers", "watchers", "buyers"]) await expectExactMembers(harness, slug);
    expect(new Set(harness.events.scannedNames)).toEqual(new Set([undefined]));
  });

  test("a backfill reads all events of a profile whose identity changes meanwhile", async () => {
    harness = await openHarness(engine);
    const ids = await submitHistory(24);
    await harness.segments.createSegment(WATCHERS);
    await expectExactMembers(harness, "watchers");
    let merges = 0;
    harness.events.beforeScan = async () => {
      merges += 1;
      const [from, into] = [ids[merges], ids[23 - merges]];
      if (merges > 8 || from === undefined || into === undefined) return;
      await harness.events.submit([event(from, "seen"), event(into, "viewed")]);
      await harness.events.merge(harness.organizationId, from, into);
    };
    await harness.segments.createSegment({ name: "Seers", eventName: "seen", minCount: 1 });
    for (const slug of ["seers", "watchers"]) await expectExactMembers(harness, slug);
    expect(merges).toBeGreaterThan(8);
  });

  test("segments are created and deleted during a scan", async () => {
    harness = await openHarness(engine);
    const [ada] = await submitHistory(40);
    if (ada === undefined) throw new Error("unreachable");
    await harness.events.submit([event(ada, "bought")]);
    let stage = 0;
    harness.events.beforeScan = async () => {
      stage += 1;
      if (stage === 1)
        await harness.segments.createSegment({ name: "Buyers", eventName: "bought", minCount: 1 });
      if (stage === 6) await harness.segments.deleteSegment({ segmentId: "doomed" });
    };
    await harness.segments.createSegment({ name: "Doomed", eventName: "bought", minCount: 1 });
    await harness.segments.createSegment(WATCHERS);
    await expectExactMembers(harness, "watchers");
    await expectExactMembers(harness, "buyers");
    await expectReason(harness.segments.getSegment({ segmentId: "doomed" }), "SEGMENT_NOT_FOUND");
    expect(stage).toBeGreaterThan(6);
  });

  test("a read returns 503 while the backfill cannot run, and eventual reads return its progress", async () => {
    harness = await openHarness(engine);
    await submitHistory(20);
    let isAway = true;
    harness.events.beforeScan = async (shard) => {
      if (isAway && shard >= 8) throw new AppError("UNAVAILABLE");
    };
    await harness.segments.createSegment(WATCHERS);
    const read = harness.segments.getSegment({ segmentId: "watchers" }).catch((error: unknown) => error);
    const outcome = await waitFor(async () => {
      await harness.clock.advance(250);
      return Promise.race([read, Promise.resolve(undefined)]);
    });
    expect(outcome).toMatchObject({ reason: "NOT_YET_CONSISTENT", retryAfterMs: 1000 });
    const eventual = harness.first.as(harness.organizationId, { "muster-consistency": "eventual" });
    const { segment } = await eventual.getSegment({ segmentId: "watchers" });
    expect(segment).toMatchObject({ state: 1 });
    expect(segment?.progress).toBeLessThan(1);
    isAway = false;
    await waitFor(async () => {
      await harness.clock.advance(250);
      return (await eventual.getSegment({ segmentId: "watchers" })).segment?.state === 2;
    });
    await expectExactMembers(harness, "watchers");
  });

  test("another replica resumes a backfill where the first stopped", async () => {
    harness = await openHarness(engine, { exclusive: false });
    await submitHistory(200);
    const eventual = harness.first.as(harness.organizationId, { "muster-consistency": "eventual" });
    let isFirst = true;
    const scanned = new Set<number>();
    harness.events.beforeScan = async (shard) => {
      if (isFirst && shard >= 4) throw new AppError("UNAVAILABLE");
      if (!isFirst) scanned.add(shard);
    };
    await harness.segments.createSegment(WATCHERS);
    await waitFor(async () => {
      const { segment } = await eventual.getSegment({ segmentId: "watchers" });
      return (segment?.progress ?? 0) >= 4 / 16;
    });
    isFirst = false;
    await harness.first.stop();
    await submitHistory(50);
    const second = await harness.start("second", false);
    const moving = { ...harness, first: second };
    await expectExactMembers(moving, "watchers");
    expect(Math.min(...scanned)).toBe(4);
  });

  test("a replica without shards returns the same results as the owner", async () => {
    harness = await openHarness(engine, { exclusive: false });
    const second = await harness.start("second", false);
    await submitHistory(60);
    const client = second.as(harness.organizationId);
    await client.createSegment(WATCHERS);
    const throughSecond = { ...harness, first: second };
    // Replicas notify each other at most every few milliseconds, so the clock has to run.
    await ticking(expectExactMembers(throughSecond, "watchers"));
    await submitHistory(20);
    harness.clock.setNowMs(harness.clock.nowMs() + DAY_MS);
    await ticking(expectExactMembers(throughSecond, "watchers"));
    await expectExactMembers(harness, "watchers");
  });

  test("a deleted segment leaves nothing, even in the middle of its backfill", async () => {
    harness = await openHarness(engine);
    await submitHistory(300);
    await harness.segments.createSegment(WATCHERS);
    await membersOf(harness.segments, "watchers");
    await harness.segments.createSegment({ name: "Short-lived", eventName: "viewed", minCount: 3 });
    await harness.segments.deleteSegment({ segmentId: "short-lived" });
    await harness.segments.deleteSegment({ segmentId: "watchers" });
    const db = harness.database.reader;
    await waitFor(async () => {
      const tables = ["segment_purges", "segment_backfills", "memberships", "segment_counts"];
      const rows = await Promise.all(tables.map((table) => db(table).count({ rows: "*" }).first()));
      return rows.every((row) => Number(row?.rows) === 0);
    });
    const states: { state: string }[] = await db("profile_states").select("state");
    for (const { state } of states) expect(JSON.parse(state)).toMatchObject({ facts: [], in: [] });
    const { segments } = await harness.segments.listSegments({});
    expect(segments.map(({ slug }) => slug)).toEqual(["abandoned-cart"]);
    // The name is free again, and the new segment starts a new backfill.
    await harness.segments.createSegment(WATCHERS);
    await expectExactMembers(harness, "watchers");
  });

  test("a message that cannot be read makes everything of its shard be read again", async () => {
    harness = await openHarness(engine);
    const [ada] = await submitHistory(30);
    if (ada === undefined) throw new Error("unreachable");
    await harness.segments.createSegment({ name: "Watchers", eventName: "viewed", minCount: 1 });
    await expectExactMembers(harness, "watchers");
    const stranger = {
      ...event(harness.newProfile(), "cart.added"),
      organizationId: harness.newOrganization(),
    };
    // The message loses Ada's event and an event of an organization that is not provisioned yet.
    await harness.events.submitCorrupt([event(ada, "viewed"), stranger], Buffer.from([0xff, 0xff, 0xff]));
    await waitFor(async () => {
      await harness.clock.advance(500);
      return (await listDeadLetters(harness.database.reader, { limit: 10 })).length === 2;
    });
    await expectExactMembers(harness, "watchers");
    await expectExactMembers(harness, "abandoned-cart", stranger.organizationId);
  });

  test("a message that can be parsed but not decoded causes a rebuild of its shard", async () => {
    harness = await openHarness(engine);
    const [ada] = await submitHistory(30);
    if (ada === undefined) throw new Error("unreachable");
    await harness.segments.createSegment({ name: "Watchers", eventName: "viewed", minCount: 1 });
    await expectExactMembers(harness, "watchers");
    const good = event(ada, "viewed");
    // The profile id of one event has the wrong length, so the whole message cannot be decoded.
    const data = toBinary(TrackedEventsRecordedSchema, {
      $typeName: "muster.events.v1.TrackedEventsRecorded",
      newProfiles: [],
      events: [
        {
          $typeName: "muster.events.v1.AnnouncedEvent",
          organizationId: uuidToBytes(good.organizationId),
          profileId: new Uint8Array(3),
          id: uuidToBytes(randomIds.next(good.ms)),
          name: "viewed",
          occurredMs: BigInt(good.ms),
          receivedMs: 0n,
          properties: "{}",
          clientEventId: "",
          recordedProfileId: new Uint8Array(),
        },
      ],
    });
    await harness.events.submitCorrupt([good], data);
    await waitFor(async () => {
      await harness.clock.advance(500);
      return (await listDeadLetters(harness.database.reader, { limit: 10 })).length === 1;
    });
    await expectExactMembers(harness, "watchers");
  });

  test("random interleavings of events, segments, scans and time give exact memberships", {
    timeout: propertyTimeoutMs(60_000),
  }, async () => {
    const anyEvent = fc.record({
      who: fc.nat({ max: 9 }),
      name: fc.constantFrom("viewed", "cart.added", "order.completed"),
      agoMs: fc.constantFrom(0, 1, 500, 1000, -1, -400, DAY_MS - 1, DAY_MS, 2 * DAY_MS),
    });
    const anyStep = fc.oneof(
      { weight: 5, arbitrary: fc.record({ submit: fc.array(anyEvent, { minLength: 1, maxLength: 6 }) }) },
      { weight: 2, arbitrary: fc.record({ define: fc.nat({ max: 4 }) }) },
      { weight: 1, arbitrary: fc.record({ remove: fc.nat({ max: 4 }) }) },
      { weight: 2, arbitrary: fc.record({ edit: fc.nat({ max: 4 }), into: fc.nat({ max: 4 }) }) },
      { weight: 2, arbitrary: fc.record({ advanceMs: fc.constantFrom(1, 400, 1000, DAY_MS - 500) }) },
      { weight: 1, arbitrary: fc.record({ duringScan: fc.array(anyEvent, { minLength: 1, maxLength: 4 }) }) },
      { weight: 1, arbitrary: fc.record({ look: fc.constant(true) }) },
      { weight: 1, arbitrary: fc.record({ handOver: fc.constant(true) }) },
    );
    const RULES = [
      { name: "r0", eventName: "viewed", minCount: 2 },
      { name: "r1", eventName: "viewed", minCount: 3, withinDays: 1 },
      { name: "r2", eventName: "order.completed", minCount: 1, withinDays: 1 },
      { name: "r3", rule: performedThenNot("viewed", "cart.added") },
      { name: "r4", rule: all(inSegment("r0"), not(inSegment("r1"))) },
    ];
    /** Rules may name missing segments, form cycles, or prevent the deletion of a segment. */
    const isRefused = async (call: Promise<unknown>): Promise<boolean> => {
      const error = await call.then(
        () => undefined,
        (rejected: unknown) => rejected,
      );
      if (error === undefined) return false;
      expect(["FIELD_INVALID", "SEGMENT_IN_USE"]).toContain(error instanceof AppError && error.reason);
      return true;
    };
    harness = await openHarness(engine, { exclusive: false });
    let current: SegmentsHarness = harness;
    let replicas = 1;
    await checkProperty(
      fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 35 }), async (steps) => {
        const organizationId: OrganizationId = harness.newOrganization();
        const people = Array.from({ length: 10 }, () => harness.newProfile());
        const defined = new Set<number>();
        const pending: TestEvent[][] = [];
        const toEvents = (drafts: readonly { who: number; name: string; agoMs: number }[]): TestEvent[] =>
          drafts.flatMap(({ who, name, agoMs }) => {
            const profileId = people[who];
            return profileId === undefined
              ? []
              : [{ organizationId, profileId, name, ms: harness.clock.nowMs() - agoMs }];
          });
        harness.events.beforeScan = async () => {
          const next = pending.shift();
          if (next !== undefined) await harness.events.submit(next);
        };
        const look = async (): Promise<void> => {
          await expectExactMembers(current, "abandoned-cart", organizationId);
          for (const index of defined) await expectExactMembers(current, `r${index}`, organizationId);
        };
        for (const step of steps) {
          if ("submit" in step) await harness.events.submit(toEvents(step.submit));
          else if ("duringScan" in step) pending.push(toEvents(step.duringScan));
          else if ("advanceMs" in step) harness.clock.setNowMs(harness.clock.nowMs() + step.advanceMs);
          else if ("look" in step) await look();
          else if ("handOver" in step) {
            // The next replica starts before the last has stopped, with backfills and timers pending.
            replicas += 1;
            const next = await harness.start(`replica ${replicas}`, false);
            await current.first.stop();
            current = { ...harness, first: next };
          } else if ("define" in step && !defined.has(step.define)) {
            const rule = RULES[step.define];
            if (rule === undefined) continue;
            const call = current.first.as(organizationId).createSegment(rule);
            if (!(await isRefused(call))) defined.add(step.define);
          } else if ("edit" in step && defined.has(step.edit)) {
            const { name: _, ...segment } = RULES[step.into] ?? { name: "" };
            const call = { segmentId: `r${step.edit}`, segment };
            await isRefused(current.first.as(organizationId).updateSegment(call));
          } else if ("remove" in step && defined.has(step.remove)) {
            const call = current.first.as(organizationId).deleteSegment({ segmentId: `r${step.remove}` });
            if (!(await isRefused(call))) defined.delete(step.remove);
          }
        }
        await look();
        const eventual = current.first.as(organizationId, { "muster-consistency": "eventual" });
        await waitFor(async () => {
          await harness.clock.advance(100);
          const { segments } = await eventual.listSegments({});
          return segments.every((one) => one.state === SegmentState.LIVE);
        });
        await look();
      }),
      { numRuns: engine === "sqlite" ? 25 : 8, endOnFailure: true },
    );
  });
});
