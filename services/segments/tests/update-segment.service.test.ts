// Tests UpdateSegment: the old rule serves reads until the backfill of the new rule is done.
import { SegmentState } from "@muster/contracts/muster/segments/v1/segment_pb";
import type { ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { ENGINES, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { all, inSegment, not } from "@muster/testkit/rules";
import { afterEach, describe, expect, test } from "vitest";
import type { TestEvent } from "./fake-events-service.ts";
import {
  DAY_MS,
  expectExactMembers,
  membersOf,
  openHarness,
  type SegmentsClient,
  type SegmentsHarness,
} from "./segments-harness.ts";

const { BACKFILLING, LIVE, UPDATING } = SegmentState;
const VIEWERS = { name: "Viewers", eventName: "viewed", minCount: 1 };

describe.each(ENGINES)("UpdateSegment on %s", (engine) => {
  let harness: SegmentsHarness;
  afterEach(() => harness.close());

  function event(profileId: ProfileId, name: string, agoMs = 0): TestEvent {
    return { organizationId: harness.organizationId, profileId, name, ms: harness.clock.nowMs() - agoMs };
  }

  /** Profiles with 0 to 3 views and 0 to 2 purchases. */
  async function submitHistory(profiles: number): Promise<ProfileId[]> {
    const ids = Array.from({ length: profiles }, () => harness.newProfile());
    for (const id of ids) harness.events.addProfile(harness.organizationId, id);
    await harness.events.submit(
      ids.flatMap((id, index) => [
        ...Array.from({ length: index % 4 }, (_, n) => event(id, "viewed", n * 1000)),
        ...Array.from({ length: index % 3 }, (_, n) => event(id, "bought", n * 1000)),
      ]),
    );
    return ids;
  }

  async function reasonOf(call: Promise<unknown>): Promise<unknown> {
    const outcome = await call.then(
      () => "no error",
      (error: unknown) => error,
    );
    return outcome instanceof AppError ? outcome.reason : outcome;
  }

  /** Blocks the backfills of these shards, until the next call. */
  function holdScans(isHeld: (shard: number) => boolean): void {
    harness.events.beforeScan = async (shard) => {
      if (isHeld(shard)) throw new AppError("UNAVAILABLE");
    };
  }

  /** Reads and edits without waiting: the clock does not advance meanwhile. */
  function eventual(of = harness): SegmentsClient {
    return of.first.as(of.organizationId, { "muster-consistency": "eventual" });
  }

  async function shown(segmentId: string, of = harness) {
    return (await eventual(of).getSegment({ segmentId })).segment;
  }

  async function untilLive(segmentId: string, version: number, of = harness): Promise<void> {
    await waitFor(
      async () => {
        await harness.clock.advance(100);
        const segment = await shown(segmentId, of);
        return segment?.state === LIVE && segment.version === version;
      },
      { timeoutMs: 15_000 },
    );
  }

  async function untilProgress(segmentId: string, progress: number): Promise<void> {
    await waitFor(
      async () => {
        await harness.clock.advance(100);
        return ((await shown(segmentId))?.progress ?? 0) >= progress;
      },
      { timeoutMs: 15_000 },
    );
  }

  test("the old rule serves until the backfill of the new rule is done, then the new rule at once", async () => {
    harness = await openHarness(engine);
    const ids = await submitHistory(60);
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    const viewers = ids.filter((_, index) => index % 4 >= 1).sort();
    const buyers = ids.filter((_, index) => index % 3 >= 2).sort();
    holdScans((shard) => shard >= 8);
    const { segment } = await eventual().updateSegment({
      segmentId: "viewers",
      segment: { eventName: "bought", minCount: 2 },
    });
    expect(segment).toMatchObject({ state: UPDATING, progress: 0, version: 2 });
    expect(segment?.rule?.kind.value).toMatchObject({ eventName: "bought" });
    await untilProgress("viewers", 0.5);
    expect(await membersOf(harness.segments, "viewers", 7)).toEqual(viewers);
    // Events received meanwhile count according to the serving rule.
    const [none = harness.newProfile()] = ids;
    await harness.events.submit([event(none, "viewed"), event(none, "bought")]);
    expect(await membersOf(harness.segments, "viewers")).toEqual([none, ...viewers].sort());
    const updating = (await harness.segments.getSegment({ segmentId: "viewers" })).segment;
    expect(updating).toMatchObject({ state: UPDATING, memberCount: BigInt(viewers.length + 1) });
    const ofNone = await harness.segments.listProfileSegments({ profileId: none });
    expect(ofNone.segments.map(({ slug }) => slug)).toEqual(["viewers"]);
    holdScans(() => false);
    await untilLive("viewers", 2);
    expect(await membersOf(harness.segments, "viewers", 7)).toEqual(buyers);
    const live = (await harness.segments.getSegment({ segmentId: "viewers" })).segment;
    expect(live).toMatchObject({ progress: 1, version: 2 });
    expect(Number(live?.memberCount)).toBe(buyers.length);
    expect((await harness.segments.listProfileSegments({ profileId: none })).segments).toEqual([]);
    await expectExactMembers(harness, "viewers");
  });

  test("a small edit serves reads when the call returns", async () => {
    harness = await openHarness(engine);
    await submitHistory(30);
    await harness.segments.createSegment(VIEWERS);
    for (const [index, eventName] of ["bought", "viewed", "bought"].entries()) {
      const edit = { segmentId: "viewers", segment: { eventName, minCount: 2 } };
      const { segment } = await harness.segments.updateSegment(edit);
      expect(segment).toMatchObject({ state: LIVE, progress: 1, version: index + 2 });
      const members = await membersOf(eventual(), "viewers");
      expect(Number(segment?.memberCount)).toBe(members.length);
      await expectExactMembers(harness, "viewers");
    }
  });

  test("the wait for a large edit ends after 2 s, at the deadline, or when the call is canceled", async () => {
    harness = await openHarness(engine);
    await submitHistory(30);
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    holdScans(() => true);
    /** Advances the clock after the edit is stored, by at most `limitMs`. */
    const edit = async (minCount: number, limitMs: number, deadlineMs?: number): Promise<number> => {
      const startMs = harness.clock.nowMs();
      let isDone = false;
      const call = harness.segments
        .updateSegment({ segmentId: "viewers", segment: { eventName: "bought", minCount } }, { deadlineMs })
        .finally(() => {
          isDone = true;
        });
      await waitFor(async () => (await shown("viewers"))?.version === minCount);
      await waitFor(async () => {
        if (!isDone && harness.clock.nowMs() < startMs + limitMs) await harness.clock.advance(50);
        return isDone;
      });
      expect((await call).segment).toMatchObject({ state: UPDATING, version: minCount });
      return harness.clock.nowMs() - startMs;
    };
    expect(await edit(2, 10_000)).toBeGreaterThanOrEqual(2000);
    expect(await edit(3, 450, harness.clock.nowMs() + 500)).toBe(450);
    // The clock stands still, so the calls do not wait for time.
    await eventual().updateSegment({ segmentId: "viewers", segment: { eventName: "bought", minCount: 4 } });
    const canceled = new AbortController();
    const pending = harness.segments.updateSegment(
      { segmentId: "viewers", segment: { eventName: "bought", minCount: 5 } },
      { signal: canceled.signal },
    );
    await waitFor(async () => (await shown("viewers"))?.version === 5);
    canceled.abort();
    await pending.catch(() => undefined);
    holdScans(() => false);
    await untilLive("viewers", 5);
  });

  test("no read mixes two rules during repeated rule switches", async () => {
    harness = await openHarness(engine);
    await submitHistory(90);
    await harness.segments.createSegment(VIEWERS);
    const allowed = [];
    for (const [eventName, minCount] of [
      ["viewed", 1],
      ["bought", 1],
      ["viewed", 3],
      ["bought", 2],
    ] as const) {
      const name = `${eventName} ${minCount}`;
      await harness.segments.createSegment({ name, eventName, minCount });
      allowed.push(JSON.stringify(await membersOf(harness.segments, name.replace(" ", "-"))));
    }
    let isDone = false;
    const reading = (async () => {
      let reads = 0;
      for (; !isDone; reads += 1) {
        const page = await harness.segments.listSegmentMembers({ segmentId: "viewers", pageSize: 500 });
        expect(allowed).toContain(JSON.stringify(page.profiles.map(({ id }) => id)));
        const { segment } = await harness.segments.getSegment({ segmentId: "viewers" });
        expect(allowed.map((text) => JSON.parse(text).length)).toContain(Number(segment?.memberCount));
        // Lets timers run between reads that never wait.
        await new Promise((resolve) => setImmediate(resolve));
      }
      return reads;
    })();
    for (let round = 0; round < 4; round += 1) {
      const eventName = round % 2 === 0 ? "bought" : "viewed";
      await harness.segments.updateSegment({
        segmentId: "viewers",
        segment: { eventName, minCount: [1, 3, 2, 1][round % 4] ?? 1 },
      });
      await untilLive("viewers", round + 2);
    }
    isDone = true;
    expect(await reading).toBeGreaterThan(4);
    await expectExactMembers(harness, "viewers");
  }, 90_000);

  test("a second edit replaces a pending rule during its backfill", async () => {
    harness = await openHarness(engine);
    await submitHistory(40);
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    holdScans((shard) => shard >= 4);
    await eventual().updateSegment({
      segmentId: "viewers",
      segment: { eventName: "bought", minCount: 1 },
    });
    await untilProgress("viewers", 0.01);
    const { segment } = await eventual().updateSegment({
      segmentId: "viewers",
      segment: { eventName: "viewed", minCount: 3, withinDays: 1 },
    });
    expect(segment).toMatchObject({ state: UPDATING, progress: 0, version: 3 });
    holdScans(() => false);
    await untilLive("viewers", 3);
    await expectExactMembers(harness, "viewers");
    await expectClean();
  });

  test("an edit during the first backfill of a segment", async () => {
    harness = await openHarness(engine);
    await submitHistory(40);
    holdScans(() => true);
    await harness.segments.createSegment(VIEWERS);
    const { segment } = await eventual().updateSegment({
      segmentId: "viewers",
      segment: { eventName: "bought", minCount: 1 },
    });
    expect(segment).toMatchObject({ state: BACKFILLING, version: 2 });
    holdScans(() => false);
    await untilLive("viewers", 2);
    await expectExactMembers(harness, "viewers");
    await expectClean();
  });

  test("a larger count is backfilled before it serves", async () => {
    harness = await openHarness(engine);
    const ada = harness.newProfile();
    await harness.events.submit(Array.from({ length: 9 }, (_, n) => event(ada, "viewed", n * 1000)));
    await harness.segments.createSegment({ name: "Lately", eventName: "viewed", minCount: 2, withinDays: 1 });
    await expectExactMembers(harness, "lately");
    await harness.segments.updateSegment({
      segmentId: "lately",
      segment: { eventName: "viewed", minCount: 8, withinDays: 1 },
    });
    await untilLive("lately", 2);
    expect(await membersOf(harness.segments, "lately")).toEqual([ada]);
    // One millisecond after the eighth newest event has left the window, seven are left.
    harness.clock.setNowMs(harness.clock.nowMs() + DAY_MS - 7000 - 100_000);
    await expectExactMembers(harness, "lately");
    harness.clock.setNowMs(harness.clock.nowMs() + 200_000);
    await expectExactMembers(harness, "lately");
    expect(await membersOf(harness.segments, "lately")).toEqual([]);
  });

  test("a new name applies at once, as a new version of the same rule", async () => {
    harness = await openHarness(engine);
    await submitHistory(8);
    const created = await harness.segments.createSegment(VIEWERS);
    await harness.segments.createSegment({ ...VIEWERS, name: "Taken" });
    await expectExactMembers(harness, "viewers");
    const renamed = await harness.segments.updateSegment({
      segmentId: "viewers",
      segment: { name: "Höchst  Neugierig!" },
    });
    expect(renamed.segment).toMatchObject({
      id: created.segment?.id,
      name: "Höchst  Neugierig!",
      slug: "höchst-neugierig",
      version: 2,
      state: LIVE,
      memberCount: 6n,
    });
    expect(await reasonOf(harness.segments.getSegment({ segmentId: "viewers" }))).toBe("SEGMENT_NOT_FOUND");
    const segmentId = "höchst-neugierig";
    const conflict = harness.segments.updateSegment({ segmentId, segment: { name: "TAKEN?" } });
    await expectReason(conflict, "SEGMENT_NAME_TAKEN", { fields: [{ field: "segment.name" }] });
    const dry = { segmentId, segment: { name: "TAKEN?" }, validateOnly: true };
    expect(await reasonOf(harness.segments.updateSegment(dry))).toBe("SEGMENT_NAME_TAKEN");
    // The slug is not taken, because the segment itself has it.
    await harness.segments.updateSegment({ segmentId, segment: { name: "höchst neugierig" } });
    await expectExactMembers(harness, segmentId);
  });

  test("fields outside the mask stay, and invalid changes are rejected", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(VIEWERS);
    const segmentId = "viewers";
    const before = (await harness.segments.getSegment({ segmentId })).segment;
    const update = (segment: object, paths?: string[]) =>
      harness.segments.updateSegment({ segmentId, segment, ...(paths && { updateMask: { paths } }) });
    const same = await update({ name: "Viewers", eventName: "viewed", minCount: 1 });
    expect(same.segment).toEqual(before);
    expect((await update({})).segment).toEqual(before);
    // Only the fields of the mask.
    const renamed = (await update({ name: "Other", eventName: "x" }, ["name"])).segment;
    expect(renamed).toMatchObject({ name: "Other", rule: before?.rule, version: 2 });
    await update({ name: "Viewers" }).catch(() => undefined);
    const rejected: [object, string[] | undefined, string][] = [
      [{}, ["name"], "segment.name"],
      [{}, ["rule"], "segment.rule"],
      [{}, ["slug"], "update_mask"],
      [{ minCount: 2 }, undefined, "segment.event_name"],
      [{ eventName: "a" }, undefined, "segment.min_count"],
      [{ withinDays: 2 }, undefined, "segment.event_name"],
      [{ eventName: "a", minCount: 1001, withinDays: 1 }, undefined, "segment.min_count"],
      [{ name: "!" }, undefined, "segment.name"],
      [{ eventName: "a", minCount: 0 }, undefined, "segment.min_count"],
    ];
    for (const [segment, paths, field] of rejected) {
      const name = (await harness.segments.listSegments({})).segments[1]?.slug ?? "";
      const call = harness.segments.updateSegment({
        segmentId: name,
        segment,
        ...(paths && { updateMask: { paths } }),
      });
      await expectReason(call, "FIELD_INVALID", { fields: [{ field }] });
    }
    expect(await reasonOf(harness.segments.updateSegment({ segmentId: "nobody", segment: {} }))).toBe(
      "SEGMENT_NOT_FOUND",
    );
  });

  test("of two renames of one version, the second is rejected, by version and by If-Match", async () => {
    harness = await openHarness(engine);
    await submitHistory(4);
    const created = await harness.segments.createSegment(VIEWERS);
    const segmentId = created.segment?.id ?? "";
    const rename = (name: string, more: object) =>
      reasonOf(harness.segments.updateSegment({ segmentId, segment: { name }, ...more }));
    const both = [rename("one", { ifMatch: '"1-x"' }), rename("two", { ifMatch: '"1-x"' })];
    expect((await Promise.all(both)).sort()).toEqual(["ETAG_MISMATCH", "no error"]);
    expect(await rename("three", { segment: { name: "three", version: 1 } })).toBe("SEGMENT_VERSION_STALE");
    expect(await rename("three", { ifMatch: '"1"', validateOnly: true })).toBe("ETAG_MISMATCH");
    expect(await rename("three", { ifMatch: '"0", "2"' })).toBe("no error");
    // The rule that waits for its backfill is the newest version, and is renamed with the segment.
    const rule = { eventName: "bought", minCount: 1 };
    expect(await reasonOf(harness.segments.updateSegment({ segmentId, segment: rule, ifMatch: '"3"' }))).toBe(
      "no error",
    );
    expect(await rename("four", { ifMatch: '"4"' })).toBe("no error");
    await untilLive("four", 5);
    await expectExactMembers(harness, "four");
    await expectClean();
  });

  test("a stale version is rejected, and concurrent edits are serialized", async () => {
    harness = await openHarness(engine);
    await submitHistory(12);
    await harness.segments.createSegment(VIEWERS);
    const segmentId = "viewers";
    const edit = (eventName: string, version?: number) =>
      harness.segments.updateSegment({
        segmentId,
        segment: { eventName, minCount: 1, ...(version !== undefined && { version }) },
      });
    await edit("bought", 1);
    expect(await reasonOf(edit("sold", 1))).toBe("SEGMENT_VERSION_STALE");
    const outcomes = await Promise.all([reasonOf(edit("sold", 2)), reasonOf(edit("lost", 2))]);
    expect(outcomes.sort()).toEqual(["SEGMENT_VERSION_STALE", "no error"]);
    await Promise.all(Array.from({ length: 6 }, (_, index) => edit(`e${index}`)));
    expect((await harness.segments.getSegment({ segmentId })).segment?.version).toBe(9);
    await edit("viewed");
    await untilLive(segmentId, 10);
    await expectExactMembers(harness, segmentId);
    await expectClean();
  });

  test("validate_only counts entering and leaving profiles, and changes nothing", async () => {
    harness = await openHarness(engine);
    await submitHistory(120);
    await harness.segments.createSegment(VIEWERS);
    const before = await membersOf(harness.segments, "viewers");
    const edit = { segmentId: "viewers", segment: { name: "Buyers", eventName: "bought", minCount: 2 } };
    const dry = await harness.segments.updateSegment({ ...edit, validateOnly: true });
    expect(dry.segment).toMatchObject({ name: "Buyers", slug: "buyers", version: 2 });
    expect((await harness.segments.getSegment({ segmentId: "viewers" })).segment).toMatchObject({
      name: "Viewers",
      version: 1,
      state: LIVE,
    });
    const wet = await harness.segments.updateSegment(edit);
    expect([wet.entering, wet.leaving]).toEqual([undefined, undefined]);
    await untilLive("buyers", 2);
    const after = await membersOf(harness.segments, "buyers");
    expect(Number(dry.entering)).toBe(after.filter((id) => !before.includes(id)).length);
    expect(Number(dry.leaving)).toBe(before.filter((id) => !after.includes(id)).length);
    expect(Number(dry.entering)).toBeGreaterThan(0);
    expect(dry.segment?.memberCount).toBe(BigInt(before.length));
    const rename = { segmentId: "buyers", segment: { name: "Customers" }, validateOnly: true };
    expect(await harness.segments.updateSegment(rename)).toMatchObject({ entering: 0n, leaving: 0n });
    expect(await reasonOf(harness.segments.getSegment({ segmentId: "customers" }))).toBe("SEGMENT_NOT_FOUND");
  });

  test("another replica continues and completes an edit", async () => {
    harness = await openHarness(engine, { exclusive: false });
    await submitHistory(100);
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    holdScans((shard) => shard >= 4);
    await eventual().updateSegment({
      segmentId: "viewers",
      segment: { eventName: "bought", minCount: 1 },
    });
    await untilProgress("viewers", 4 / 16);
    await harness.first.stop();
    await submitHistory(20);
    holdScans(() => false);
    const second = await harness.start("second", false);
    const moved: SegmentsHarness = { ...harness, first: second, segments: second.as(harness.organizationId) };
    await untilLive("viewers", 2, moved);
    await expectExactMembers(moved, "viewers");
    await expectClean();
  });

  test("segments that reference one another switch together, and never disagree before", async () => {
    harness = await openHarness(engine);
    await submitHistory(60);
    await harness.segments.createSegment(VIEWERS);
    await harness.segments.createSegment({ name: "Others", rule: not(inSegment("viewers")) });
    await harness.segments.createSegment({ name: "Buyers", eventName: "bought", minCount: 1 });
    const both = all(inSegment("buyers"), not(inSegment("others")));
    await harness.segments.createSegment({ name: "Both", rule: both });
    const slugs = ["viewers", "others", "buyers", "both"];
    for (const slug of slugs) await expectExactMembers(harness, slug);
    holdScans((shard) => shard >= 8);
    await eventual().updateSegment({
      segmentId: "viewers",
      segment: { eventName: "viewed", minCount: 3 },
    });
    await untilProgress("viewers", 0.5);
    for (const slug of ["viewers", "others", "both"]) {
      expect(await shown(slug)).toMatchObject({ state: UPDATING });
    }
    expect(await shown("others")).toMatchObject({ version: 1 });
    expect(await shown("buyers")).toMatchObject({ state: LIVE });
    for (const slug of slugs) await expectExactMembers(harness, slug);
    // Created while a referenced segment is changing, the segment switches with it.
    await harness.segments.createSegment({ name: "Late", rule: not(inSegment("viewers")) });
    // One segment is edited itself; another no longer waits for any other.
    await eventual().updateSegment({
      segmentId: "buyers",
      segment: { eventName: "bought", minCount: 2 },
    });
    await eventual().updateSegment({ segmentId: "both", segment: { rule: inSegment("buyers") } });
    holdScans(() => false);
    await untilLive("viewers", 2);
    for (const slug of [...slugs, "late"]) {
      expect(await shown(slug)).toMatchObject({ state: LIVE });
      await expectExactMembers(harness, slug);
    }
    expect(await shown("both")).toMatchObject({ version: 2 });
    const theirs = await membersOf(harness.segments, "late");
    expect(theirs).toEqual(await membersOf(harness.segments, "others"));
    await expectClean();
  });

  test("a rule that refers back to its segment is rejected with the cycle", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment({ name: "A", eventName: "a", minCount: 1 });
    await harness.segments.createSegment({ name: "B", rule: not(inSegment("a")) });
    await harness.segments.createSegment({
      name: "C",
      rule: all(inSegment("b"), inSegment("abandoned-cart")),
    });
    for (const [rule, way] of [
      [inSegment("c"), "a -> c -> b -> a"],
      [not(inSegment("a")), "a -> a"],
    ] as const) {
      for (const validateOnly of [false, true]) {
        const call = harness.segments.updateSegment({ segmentId: "a", segment: { rule }, validateOnly });
        await expectReason(call, "FIELD_INVALID", {
          fields: [{ field: "segment.rule", message: expect.stringContaining(way) }],
        });
      }
    }
    const itself = harness.segments.createSegment({ name: "D", rule: inSegment("d") });
    await expectReason(itself, "FIELD_INVALID", { fields: [{ field: "rule.in_segment.segment_id" }] });
  });

  test("a referenced segment cannot be deleted, and the error names the dependents", async () => {
    harness = await openHarness(engine);
    await submitHistory(20);
    await harness.segments.createSegment(VIEWERS);
    await harness.segments.createSegment({ name: "Others", rule: not(inSegment("viewers")) });
    const rejected = { reason: "SEGMENT_IN_USE", details: { segments: "others" } };
    await expect(harness.segments.deleteSegment({ segmentId: "viewers" })).rejects.toMatchObject(rejected);
    // A reference of the serving rule keeps the segment in use.
    holdScans(() => true);
    await eventual().updateSegment({
      segmentId: "others",
      segment: { eventName: "bought", minCount: 1 },
    });
    await expect(harness.segments.deleteSegment({ segmentId: "viewers" })).rejects.toMatchObject(rejected);
    await eventual().updateSegment({
      segmentId: "viewers",
      segment: { eventName: "viewed", minCount: 2 },
    });
    await harness.segments.deleteSegment({ segmentId: "others" });
    holdScans(() => false);
    await untilLive("viewers", 2);
    await expectExactMembers(harness, "viewers");
    await harness.segments.deleteSegment({ segmentId: "viewers" });
    await expectClean();
  });

  test("another organization cannot change a segment", async () => {
    harness = await openHarness(engine);
    const { segment } = await harness.segments.createSegment(VIEWERS);
    const theirs = harness.first.as(harness.newOrganization());
    for (const segmentId of [segment?.id ?? "", "viewers"]) {
      for (const validateOnly of [false, true]) {
        const call = theirs.updateSegment({ segmentId, segment: { name: "Mine" }, validateOnly });
        expect(await reasonOf(call)).toBe("SEGMENT_NOT_FOUND");
      }
    }
    expect((await harness.segments.getSegment({ segmentId: "viewers" })).segment?.name).toBe("Viewers");
  });

  test("a deletion during and after rule changes leaves no rows", async () => {
    harness = await openHarness(engine);
    await submitHistory(100);
    await expectExactMembers(harness, "abandoned-cart");
    const empty = await countRows();
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    await eventual().updateSegment({
      segmentId: "viewers",
      segment: { eventName: "bought", minCount: 1 },
    });
    await untilLive("viewers", 2);
    holdScans((shard) => shard >= 9);
    await eventual().updateSegment({
      segmentId: "viewers",
      segment: { eventName: "viewed", minCount: 2 },
    });
    await untilProgress("viewers", 0.5);
    await harness.segments.deleteSegment({ segmentId: "viewers" });
    holdScans(() => false);
    await waitFor(async () => {
      await harness.clock.advance(250);
      return (await harness.database.reader("segment_purges").first("shard")) === undefined;
    });
    const states: { state: string }[] = await harness.database.reader("profile_states").select("state");
    for (const { state } of states) expect(JSON.parse(state)).toMatchObject({ facts: [], in: [] });
    const left = await countRows();
    // A state row stays with an empty state; outbox messages and idempotency keys are removed by their own
    // retention.
    for (const table of Object.keys(left)) {
      if (!KEPT.includes(table)) expect([table, left[table]]).toEqual([table, empty[table]]);
    }
  });

  const KEPT = ["profile_states", "outbox_messages", "idempotency_keys"];

  async function countRows(): Promise<Record<string, number>> {
    const db = harness.database.reader;
    const names: Record<string, string>[] =
      engine === "sqlite"
        ? await db("sqlite_master").where("type", "table").select("name")
        : (
            await db.raw(
              "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()",
            )
          )[0];
    const counts: Record<string, number> = {};
    for (const { name = "" } of names) {
      const [row] = await db(name).count({ rows: "*" });
      counts[name] = Number(row?.rows);
    }
    return counts;
  }

  /** Stored rows belong to serving evaluations only. */
  async function expectClean(): Promise<void> {
    const db = harness.database.reader;
    await waitFor(async () => {
      await harness.clock.advance(250);
      return (await db("segment_purges").first("shard")) === undefined;
    });
    const serving: { evaluation_id: Buffer }[] = await db("segments").select("evaluation_id");
    const ids = serving.map((row) => row.evaluation_id.toString("hex"));
    for (const table of ["memberships", "segment_counts", "segment_backfills"]) {
      const rows: { evaluation_id: Buffer }[] = await db(table).distinct("evaluation_id");
      for (const row of rows) expect(ids).toContain(row.evaluation_id.toString("hex"));
    }
  }
});
