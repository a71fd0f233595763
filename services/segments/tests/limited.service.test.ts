// Segments whose predicates exceed the budget of an event: memberships keep the last value, the segment is
// limited, and all other segments stay exact.
import { isDeepStrictEqual } from "node:util";
import { Resolution } from "@muster/contracts/muster/segments/v1/segment_explain_pb";
import { SegmentState } from "@muster/contracts/muster/segments/v1/segment_pb";
import { type ProfileId, shardOf } from "@muster/core";
import { Metrics } from "@muster/metrics";
import { ENGINES, waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readCounts } from "../src/memberships/segment-count-store.ts";
import { MessageMatcher } from "../src/projection/match-messages.ts";
import { DefinitionsCache } from "../src/rule-versions/definitions-cache.ts";
import { listSegmentsOf } from "../src/segment-model/segment-store.ts";
import { RawEventSource } from "../src/verification/raw-profiles.ts";
import { type Progress, SegmentVerifier } from "../src/verification/segment-verifier.ts";
import { VerificationMetrics } from "../src/verification/verification-metrics.ts";
import { readAnnouncements } from "./announcements.ts";
import { membersOf, openHarness, type SegmentsHarness } from "./segments-harness.ts";

/** Properties on which a few of the costly predicates use up the budget of the event. */
const LARGE = JSON.stringify({ a: "a".repeat(4000), b: "a".repeat(2000) });
const SMALL = JSON.stringify({ a: "x", b: "x", n: 1 });
const COSTLY = Array.from({ length: 16 }, (_, n) => `properties.a.contains(properties.b + "${n}")`);

const performed = (where: string, atLeast = 1) => ({
  kind: {
    case: "performed" as const,
    value: {
      eventName: "viewed",
      where,
      count: { condition: { case: "atLeast" as const, value: atLeast } },
    },
  },
});
const anyOf = (...rules: object[]) => ({ kind: { case: "any" as const, value: { rules } } });
const not = (rule: object) => ({ kind: { case: "not" as const, value: rule } });
const inSegment = (segmentId: string) => ({ kind: { case: "inSegment" as const, value: { segmentId } } });

describe.each(ENGINES)("limited segments on %s", (engine) => {
  let harness: SegmentsHarness;
  let ada: ProfileId;
  let bo: ProfileId;

  beforeEach(async () => {
    harness = await openHarness(engine);
    const { segments, organizationId } = harness;
    ada = harness.newProfile();
    bo = harness.newProfile();
    for (const profileId of [ada, bo]) harness.events.addProfile(organizationId, profileId);
    await segments.createSegment({ name: "Costly", rule: anyOf(...COSTLY.map((one) => performed(one))) });
    await segments.createSegment({ name: "Without", rule: not(inSegment("costly")) });
    await segments.createSegment({ name: "Plain", rule: performed("properties.n == 1") });
    await segments.createSegment({ name: "Viewers", eventName: "viewed", minCount: 2 });
    for (const segmentId of ["costly", "without", "plain", "viewers"]) await membersOf(segments, segmentId);
  });
  afterEach(async () => harness.close());

  async function view(profileId: ProfileId, ...properties: string[]): Promise<void> {
    const { organizationId, clock } = harness;
    const events = properties.map((one) => ({ name: "viewed", ms: clock.nowMs(), properties: one }));
    await harness.events.submit(events.map((event) => ({ ...event, organizationId, profileId })));
  }

  /** The number of limited profiles under the serving rule of the segment. */
  const limitedProfilesOf = async (id: string): Promise<number> => {
    const { reader } = harness.database;
    const segments = await listSegmentsOf(reader, [harness.organizationId]);
    const evaluations = segments.filter((one) => one.id === id).map(({ evaluationId }) => evaluationId);
    const counts = await readCounts(reader, harness.organizationId, evaluations);
    return [...counts.values()].reduce((sum, { limited }) => sum + limited, 0);
  };

  const stateOf = async (segmentId: string) => {
    const { segment } = await harness.segments.getSegment({ segmentId });
    return { state: segment?.state, limited: await limitedProfilesOf(segment?.id ?? "") };
  };
  /** Background work polls each second. */
  const waitUntil = async <T>(read: () => Promise<T>, expected: T): Promise<void> => {
    let found: T | undefined;
    await waitFor(async () => {
      await harness.clock.advance(1000);
      found = await read();
      return isDeepStrictEqual(found, expected);
    }).catch(() => expect(found).toEqual(expected));
  };
  const LIVE = { state: SegmentState.LIVE, limited: 0 };

  async function verify(): Promise<Progress | undefined> {
    const verifier = new SegmentVerifier({
      clock: harness.clock,
      database: harness.database,
      metrics: new VerificationMetrics(new Metrics()),
      raw: new RawEventSource(harness.events.caller, harness.clock),
    });
    let last: Progress | undefined;
    const request = { profiles: 100, seed: 1, organizationId: undefined };
    for await (const part of verifier.run(request, new AbortController().signal)) {
      expect(part.kind).toBe("progress");
      if (part.kind === "progress") last = part.progress;
    }
    return last;
  }

  test("a membership keeps its value, nothing is published, other segments stay exact", async () => {
    const { segments } = harness;
    await view(ada, SMALL);
    await view(bo, SMALL);
    expect(await membersOf(segments, "without")).toEqual([ada, bo].sort());
    const announced = (await readAnnouncements(harness.database)).length;
    await view(ada, LARGE);
    expect(await membersOf(segments, "costly")).toEqual([]);
    expect(await membersOf(segments, "without")).toEqual([ada, bo].sort());
    expect(await membersOf(segments, "plain")).toEqual([ada, bo].sort());
    expect(await membersOf(segments, "viewers")).toEqual([ada]);
    // The entry into Viewers.
    expect(await readAnnouncements(harness.database)).toHaveLength(announced + 1);

    expect(await stateOf("costly")).toEqual({ state: SegmentState.LIMITED, limited: 1 });
    expect(await stateOf("without")).toEqual({ state: SegmentState.LIMITED, limited: 1 });
    expect(await stateOf("plain")).toEqual(LIVE);
    expect(await stateOf("viewers")).toEqual(LIVE);
    expect(await harness.first.count("muster_segments_unknown_predicates_total")).toBeGreaterThan(0);
    expect(await verify()).toMatchObject({ checked: 2, mismatches: 0, limited: 2, memberships: 10 });
  });

  test("the explanation names the unknown parts, and agrees with the members", async () => {
    const { segments } = harness;
    await view(ada, SMALL, LARGE);
    const explained = await segments.explainMembership({ segmentId: "costly", profileId: ada });
    expect(explained).toMatchObject({ member: false, missing: [], nextChangeReason: "" });
    expect(explained.tree).toMatchObject({ kind: "any", holds: false, resolution: Resolution.UNKNOWN });
    const leaves = explained.tree?.children ?? [];
    const unknown = leaves.filter(({ resolution }) => resolution === Resolution.UNKNOWN);
    expect(unknown.length).toBeGreaterThan(0);
    expect(unknown.length).toBeLessThan(COSTLY.length);
    expect(unknown[0]?.observed?.text).toContain("unknown, because a predicate took too much work");
    const without = await segments.explainMembership({ segmentId: "without", profileId: ada });
    expect(without).toMatchObject({ member: true, tree: { resolution: Resolution.UNKNOWN, holds: true } });
    const plain = await segments.explainMembership({ segmentId: "plain", profileId: ada });
    expect(plain).toMatchObject({ member: true, tree: { resolution: Resolution.EXACT } });
  });

  test("simulations leave out profiles with an unknown result, and say that they are not exact", async () => {
    const { segments } = harness;
    await view(ada, SMALL, LARGE);
    await view(bo, SMALL);
    await membersOf(segments, "costly");
    const rule = anyOf(...COSTLY.map((one) => performed(one)), performed("properties.n == 1"));
    expect(await segments.previewSegment({ rule, exact: true })).toMatchObject({
      exact: false,
      profilesChecked: 1n,
      profileCount: 2n,
      sample: [{ id: bo }],
    });
    expect(await segments.backtestSegment({ rule, days: 2 })).toMatchObject({
      exact: false,
      profilesReplayed: 1n,
      profileCount: 2n,
    });
    const plain = { rule: performed("properties.n == 1") };
    expect(await segments.previewSegment(plain)).toMatchObject({
      exact: true,
      count: 2n,
      profilesChecked: 2n,
    });
    expect(await segments.backtestSegment({ ...plain, days: 2 })).toMatchObject({ exact: true });
  });

  test("a restart keeps the limit, and the same message counts once", async () => {
    await view(ada, SMALL, LARGE);
    expect(await stateOf("costly")).toEqual({ state: SegmentState.LIMITED, limited: 1 });
    await harness.first.stop();
    await view(ada, LARGE);
    await view(bo, LARGE);
    const replica = await harness.start("second");
    const client = replica.as(harness.organizationId);
    expect(await membersOf(client, "without")).toEqual([ada, bo].sort());
    const { segment } = await client.getSegment({ segmentId: "costly" });
    expect(segment?.state).toBe(SegmentState.LIMITED);
    expect(await limitedProfilesOf(segment?.id ?? "")).toBe(2);
  });

  test("a cheaper rule makes the segment exact again", async () => {
    const { segments } = harness;
    await view(ada, SMALL, LARGE);
    expect(await stateOf("costly")).toEqual({ state: SegmentState.LIMITED, limited: 1 });
    const rule = anyOf(performed(COSTLY[0] ?? ""), performed("properties.n == 1"));
    await segments.updateSegment({ segmentId: "costly", segment: { rule }, updateMask: { paths: ["rule"] } });
    await waitUntil(() => stateOf("costly"), LIVE);
    expect(await membersOf(segments, "costly")).toEqual([ada]);
    expect(await membersOf(segments, "without")).toEqual([bo]);
    expect(await stateOf("without")).toEqual(LIVE);
    expect(await verify()).toMatchObject({ checked: 2, mismatches: 0, limited: 0 });
  });

  test("a limited new rule keeps the published membership", async () => {
    const { segments } = harness;
    await view(ada, SMALL, LARGE);
    await view(bo, SMALL);
    expect(await membersOf(segments, "plain")).toEqual([ada, bo].sort());
    const rule = anyOf(...COSTLY.map((one) => performed(one)), performed("properties.n == 1 && false"));
    await segments.updateSegment({ segmentId: "plain", segment: { rule }, updateMask: { paths: ["rule"] } });
    await waitUntil(() => stateOf("plain"), { state: SegmentState.LIMITED, limited: 1 });
    expect(await membersOf(segments, "plain")).toEqual([ada]);
    const exits = async () => {
      const announced = await readAnnouncements(harness.database);
      return announced.flatMap(({ member, profileId }) => (member ? [] : [profileId]));
    };
    await waitUntil(exits, [bo]);
    expect(await membersOf(segments, "plain")).toEqual([ada]);
  });

  test("earlier events of the same batch count, however the messages are batched", async () => {
    const matching = JSON.stringify({ a: "x15", b: "x" });
    await harness.first.stop();
    await view(ada, matching, LARGE);
    await view(bo, LARGE, matching);
    const replica = await harness.start("second");
    expect(await membersOf(replica.as(harness.organizationId), "costly")).toEqual([ada]);
  });

  test("predicates are evaluated in slices, and a batch is cut after its share of work", async () => {
    const { clock, database, events } = harness;
    await harness.first.stop();
    for (let message = 0; message < 30; message += 1) await view(ada, LARGE);
    const envelopes = await events.outbox.read(shardOf(harness.organizationId, ada), 0, 100);
    expect(envelopes).toHaveLength(30);
    // The clock moves by a slice with each read.
    let elapsedMs = 0;
    const ticking = {
      nowMs: () => clock.nowMs(),
      sleep: clock.sleep.bind(clock),
      monotonicMs: () => (elapsedMs += 4),
    };
    const matcher = new MessageMatcher({ clock: ticking, database, definitions: new DefinitionsCache() });
    let turns = 0;
    let isDone = false;
    const countTurns = (): void => {
      turns += 1;
      if (!isDone) setImmediate(countTurns);
    };
    countTurns();
    const { signal } = new AbortController();
    const prepared = await matcher.prepare(envelopes, signal);
    isDone = true;
    // 0.8 M units for each event: 10 M units are 0.2 s.
    expect(prepared).toBeGreaterThan(5);
    expect(prepared).toBeLessThan(20);
    // Each costly predicate ends a slice; the budget of an event suffices for three.
    expect(turns).toBeGreaterThanOrEqual(prepared * 3);
    const aborted = AbortSignal.abort(new Error("the process stops"));
    await expect(matcher.prepare(envelopes.slice(prepared), aborted)).rejects.toThrow("the process stops");
    expect(await matcher.prepare(envelopes.slice(0, prepared), signal)).toBe(prepared);
  });

  test("a deleted segment and an erased profile leave no counts", async () => {
    const { segments, organizationId } = harness;
    await view(ada, LARGE);
    await view(bo, LARGE);
    expect(await stateOf("costly")).toEqual({ state: SegmentState.LIMITED, limited: 2 });
    await harness.events.erase(organizationId, bo);
    await waitUntil(() => stateOf("costly"), { state: SegmentState.LIMITED, limited: 1 });
    await segments.deleteSegment({ segmentId: "without" });
    await segments.deleteSegment({ segmentId: "costly" });
    const limited = async () =>
      harness.database.reader("segment_counts").where("limited", "<>", 0).select("limited");
    await waitUntil(limited, []);
  });
});
