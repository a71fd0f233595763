// Retention in the running service: which limits it accepts, and what facts, explanations, previews and
// verifications return after raw events are removed.
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { Metrics } from "@muster/metrics";
import type { Client } from "@muster/rpc";
import { ENGINES, waitFor } from "@muster/testkit";
import { all, inactiveFor, performedThenNot, trait } from "@muster/testkit/rules";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RawEventSource } from "../src/verification/raw-profiles.ts";
import { type FoundMismatch, type Progress, SegmentVerifier } from "../src/verification/segment-verifier.ts";
import { VerificationMetrics } from "../src/verification/verification-metrics.ts";
import { DAY_MS, membersOf, openHarness, type SegmentsHarness } from "./segments-harness.ts";

describe.each(ENGINES)("retention on %s", (engine) => {
  let harness: SegmentsHarness;
  let privacyClient: () => Client<typeof SegmentPrivacyService>;
  let organizationId: OrganizationId;

  beforeEach(async () => {
    harness = await openHarness(engine);
    privacyClient = () => harness.first.client(SegmentPrivacyService, { service: "events" });
    organizationId = harness.organizationId;
  });
  afterEach(() => harness.close());

  const reserve = (rawEventDays: number, of = organizationId) =>
    privacyClient().reserveRetention({ organizationId: uuidToBytes(of), rawEventDays });

  async function submit(profileId: ProfileId, name: string, ms = harness.clock.nowMs()): Promise<void> {
    await harness.events.submit([{ organizationId, profileId, name, ms }]);
  }

  /** Advances the clock by days and removes events older than `keep` days. */
  async function letDaysPass(days: number, keep: number): Promise<void> {
    // Applies all submitted events and finishes all backfills first.
    const { segments } = await harness.segments.listSegments({});
    for (const { slug } of segments) await membersOf(harness.segments, slug);
    harness.clock.setNowMs(harness.clock.nowMs() + days * DAY_MS);
    await harness.clock.advance(2000);
    harness.events.purge(organizationId, harness.clock.nowMs() - keep * DAY_MS);
  }

  async function completeSinceOf(segmentId: string, profileId: ProfileId): Promise<number | undefined> {
    const { tree } = await harness.segments.explainMembership({ segmentId, profileId });
    const leaf = tree?.children[0] ?? tree;
    return leaf?.completeSince && timestampMs(leaf.completeSince);
  }

  describe("accepted limits", () => {
    test("a longer window in any rule rejects the limit and names the segments", async () => {
      const { segments } = harness;
      await segments.createSegment({ name: "Month", eventName: "viewed", minCount: 1, withinDays: 30 });
      await segments.createSegment({ name: "Week", eventName: "viewed", minCount: 1, withinDays: 7 });
      await segments.createSegment({ name: "Ever", eventName: "viewed", minCount: 1 });
      await segments.createSegment({
        name: "Asleep",
        rule: inactiveFor("20d"),
      });
      const refused = await reserve(10).catch((error: unknown) => error);
      expect(refused).toMatchObject({
        reason: "RETENTION_TOO_SHORT",
        row: { http: 409 },
        details: { segments: "asleep,month" },
      });
      await reserve(30);
      await segments.deleteSegment({ segmentId: "month" });
      await segments.deleteSegment({ segmentId: "asleep" });
      await reserve(7);
      await expect(reserve(6)).rejects.toMatchObject({ details: { segments: "week" } });
      // Pending rules count like serving rules.
      await reserve(0);
      await segments.updateSegment({
        segmentId: "ever",
        segment: { eventName: "viewed", minCount: 2, withinDays: 9 },
      });
      await expect(reserve(8)).rejects.toMatchObject({ details: { segments: "ever" } });
    });

    test("afterwards no rule may look further back, saved or simulated", async () => {
      const { segments } = harness;
      await segments.createSegment({ name: "Ever", eventName: "viewed", minCount: 1 });
      await reserve(7);
      const short = { eventName: "viewed", minCount: 1, withinDays: 8 };
      const message = expect.stringContaining("7 days");
      const refusing = (field: string) => ({ reason: "FIELD_INVALID", fields: [{ field, message }] });
      const longRule = all(trait("traits.a == 1"), performedThenNot("a", "b", "8d"));
      const field = "rule.all.rules[1].performed_then_not.held_for";
      await expect(segments.createSegment({ name: "A", ...short })).rejects.toMatchObject(
        refusing("within_days"),
      );
      await expect(segments.createSegment({ name: "B", rule: longRule })).rejects.toMatchObject(
        refusing(field),
      );
      await expect(segments.previewSegment(short)).rejects.toMatchObject(refusing("within_days"));
      await expect(segments.previewSegment({ rule: longRule })).rejects.toMatchObject(refusing(field));
      for (const validateOnly of [true, false]) {
        const update = { segmentId: "ever", validateOnly };
        await expect(
          segments.updateSegment({ ...update, segment: { rule: longRule } }),
        ).rejects.toMatchObject(refusing(`segment.${field}`));
        await expect(segments.updateSegment({ ...update, segment: short })).rejects.toMatchObject(
          refusing("segment.within_days"),
        );
      }
      // Names, short windows and rules without windows are still accepted; so is a longer retention.
      await segments.updateSegment({ segmentId: "ever", segment: { name: "Always" } });
      await segments.createSegment({ name: "C", ...short, withinDays: 7 });
      await reserve(8);
      await segments.createSegment({ name: "D", ...short });
      // Each organization has its own retention.
      await harness.first.as(harness.newOrganization()).createSegment({ name: "A", ...short });
    });
  });

  describe("after raw events are removed", () => {
    test("the backfill of a new segment keeps applied facts", async () => {
      const { segments } = harness;
      const [ada, bob] = [harness.newProfile(), harness.newProfile()];
      await segments.createSegment({ name: "Buyers", eventName: "bought", minCount: 2 });
      await reserve(7);
      await submit(ada, "bought");
      await submit(bob, "seen");
      await letDaysPass(10, 7);
      await submit(ada, "bought");
      await submit(ada, "seen");
      // The backfill reads every profile. The purchase and the view of 10 days ago are gone.
      await segments.createSegment({ name: "Seers", eventName: "seen", minCount: 1 });
      await segments.createSegment({ name: "Lately", eventName: "bought", minCount: 1, withinDays: 7 });
      expect(await membersOf(segments, "seers")).toEqual([ada]);
      expect(await membersOf(segments, "buyers")).toEqual([ada]);
      expect(await membersOf(segments, "lately")).toEqual([ada]);
      const sinceMs = harness.clock.nowMs() - 7 * DAY_MS;
      expect(await completeSinceOf("buyers", ada)).toBeUndefined();
      expect(await completeSinceOf("lately", ada)).toBeUndefined();
      expect(await completeSinceOf("seers", ada)).toBe(sinceMs);
      // Whether Bob has ever seen it is unknown: the event is gone.
      expect(await completeSinceOf("seers", bob)).toBe(sinceMs);
      expect(await completeSinceOf("buyers", bob)).toBeUndefined();
    });

    test("an event after the backfill does not complete a fact whose older events are gone", async () => {
      const { segments } = harness;
      const ada = harness.newProfile();
      await reserve(7);
      await submit(ada, "seen");
      await letDaysPass(10, 7);
      await segments.createSegment({ name: "Seers", eventName: "seen", minCount: 2 });
      expect(await membersOf(segments, "seers")).toEqual([]);
      const sinceMs = harness.clock.nowMs() - 7 * DAY_MS;
      await submit(ada, "seen");
      expect(await membersOf(segments, "seers")).toEqual([]);
      expect(await completeSinceOf("seers", ada)).toBe(sinceMs);
    });

    test("an event too late for its order makes only its own facts incomplete", async () => {
      const { segments } = harness;
      const ada = harness.newProfile();
      await segments.createSegment({ name: "Buyers", eventName: "bought", minCount: 1 });
      await segments.createSegment({
        name: "Waiting",
        rule: performedThenNot("asked", "answered", "1d"),
      });
      await reserve(7);
      await submit(ada, "bought");
      await submit(ada, "asked");
      await letDaysPass(10, 7);
      const askedMs = harness.clock.nowMs() - 2 * DAY_MS;
      for (let index = 0; index < 40; index += 1) await submit(ada, "asked", askedMs + index * 1000);
      expect(await completeSinceOf("waiting", ada)).toBeUndefined();
      await submit(ada, "asked", askedMs - 1000);
      expect(await membersOf(segments, "waiting")).toEqual([ada]);
      expect(await membersOf(segments, "buyers")).toEqual([ada]);
      expect(await completeSinceOf("waiting", ada)).toBe(harness.clock.nowMs() - 7 * DAY_MS);
      expect(await completeSinceOf("buyers", ada)).toBeUndefined();
    });

    test("after a merge, the remaining raw events count", async () => {
      const { segments } = harness;
      const [ada, device] = [harness.newProfile(), harness.newProfile()];
      await segments.createSegment({ name: "Buyers", eventName: "bought", minCount: 2 });
      await reserve(7);
      await submit(ada, "bought");
      await submit(device, "bought");
      await letDaysPass(10, 7);
      await submit(device, "bought");
      await harness.events.merge(organizationId, device, ada);
      expect(await membersOf(segments, "buyers")).toEqual([]);
      expect(await completeSinceOf("buyers", ada)).toBe(harness.clock.nowMs() - 7 * DAY_MS);
      await submit(device, "bought");
      expect(await membersOf(segments, "buyers")).toEqual([ada]);
    });

    test("simulations return completeSince if they look back further than the remaining events", async () => {
      const { segments } = harness;
      const ada = harness.newProfile();
      await segments.createSegment({ name: "Buyers", eventName: "bought", minCount: 1 });
      await reserve(7);
      await submit(ada, "bought");
      const ever = { eventName: "bought", minCount: 1 };
      const lately = { ...ever, withinDays: 7 };
      expect((await segments.previewSegment(ever)).completeSince).toBeUndefined();
      await letDaysPass(10, 7);
      const sinceMs = harness.clock.nowMs() - 7 * DAY_MS;
      const completeSinceIn = async (answer: Promise<{ completeSince?: Timestamp | undefined }>) => {
        const { completeSince } = await answer;
        return completeSince && timestampMs(completeSince);
      };
      expect(await completeSinceIn(segments.previewSegment(ever))).toBe(sinceMs);
      expect(await completeSinceIn(segments.previewSegment(lately))).toBeUndefined();
      expect(await completeSinceIn(segments.estimateSegmentCost(ever))).toBe(sinceMs);
      expect(await completeSinceIn(segments.estimateSegmentCost(lately))).toBeUndefined();
      expect(await completeSinceIn(segments.backtestSegment({ ...ever, days: 1 }))).toBe(sinceMs);
      // The window of the first day begins before the remaining events.
      expect(await completeSinceIn(segments.backtestSegment({ ...lately, days: 3 }))).toBe(sinceMs);
      const change = { eventName: "bought", minCount: 2 };
      const update = { segmentId: "buyers", validateOnly: true, segment: change };
      expect(await completeSinceIn(segments.updateSegment(update))).toBe(sinceMs);
    });

    test("the verification compares what raw events can prove, and counts the rest", async () => {
      const { segments } = harness;
      await segments.createSegment({ name: "Buyers", eventName: "bought", minCount: 1 });
      await segments.createSegment({ name: "Lately", eventName: "bought", minCount: 1, withinDays: 7 });
      await reserve(7);
      const ada = harness.newProfile();
      await submit(ada, "bought");
      await letDaysPass(10, 7);
      await membersOf(segments, "buyers");
      const { progress, mismatches } = await verify();
      expect(mismatches).toEqual([]);
      // The memberships of abandoned-cart and buyers cannot be proven.
      expect(progress).toMatchObject({ checked: 1, memberships: 3, beyondRetention: 2, mismatches: 0 });
      // A window within the retention is still compared.
      await harness.database.transaction((trx) =>
        trx("memberships")
          .where({ organization_id: uuidToBytes(organizationId) })
          .update({ member: 0 }),
      );
      expect((await verify()).mismatches.map(({ slug }) => slug)).toEqual(["buyers"]);
    });
  });

  async function verify(): Promise<{ progress: Progress; mismatches: FoundMismatch[] }> {
    const { clock, database, events } = harness;
    const verifier = new SegmentVerifier({
      clock,
      database,
      metrics: new VerificationMetrics(new Metrics()),
      raw: new RawEventSource(events.caller, clock),
    });
    const mismatches: FoundMismatch[] = [];
    let progress: Progress | undefined;
    let isDone = false;
    const running = (async () => {
      const request = { profiles: 100, seed: 1, organizationId };
      for await (const part of verifier.run(request, new AbortController().signal)) {
        if (part.kind === "mismatch") mismatches.push(part.mismatch);
        else progress = part.progress;
      }
    })().finally(() => {
      isDone = true;
    });
    await waitFor(async () => {
      if (!isDone) await clock.advance(1000);
      return isDone;
    });
    await running;
    if (progress === undefined) throw new Error("no progress");
    return { progress, mismatches };
  }
});
