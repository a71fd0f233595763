// Turns of rebuilds and backfills: neither kind, no organization and no shard waits for ever.

import { SegmentState } from "@muster/contracts/muster/segments/v1/segment_pb";
import {
  ALL_SHARDS,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  randomIds,
  shardOf,
} from "@muster/core";
import { ENGINES, FakeClock, openTestDatabase, type TestDatabase, waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { segmentsModule } from "../src/module.ts";
import { compareProfileKeys, type ProfileKey } from "../src/profiles/profile-key.ts";
import { addProfileRebuilds, deleteProfileRebuilds } from "../src/profiles/rebuild-store.ts";
import { addBackfills, advanceBackfills, deleteBackfills } from "../src/rebuild/backfill-store.ts";
import { RebuildPlanner, type RebuildTask } from "../src/rebuild/rebuild-planner.ts";
import { openHarness, type SegmentsHarness } from "./segments-harness.ts";

describe.each(ENGINES)("the next step on %s", (engine) => {
  let own: TestDatabase;
  let clock: FakeClock;
  let planner: RebuildPlanner;
  beforeEach(async () => {
    own = await openTestDatabase(engine, segmentsModule.migrations);
    clock = new FakeClock();
    planner = new RebuildPlanner(own.database, clock);
  });
  afterEach(() => own.close());

  const newOrganization = () => randomIds.next<OrganizationId>(clock.nowMs());
  const startBackfill = async (organizationId: OrganizationId): Promise<EvaluationId> => {
    clock.setNowMs(clock.nowMs() + 1);
    const evaluationId = randomIds.next<EvaluationId>(clock.nowMs());
    await own.database.transaction((trx) => addBackfills(trx, organizationId, evaluationId, ALL_SHARDS));
    return evaluationId;
  };
  const mark = async (organizationId: OrganizationId, count: number): Promise<ProfileKey[]> => {
    const keys = Array.from({ length: count }, () => {
      const profileId = randomIds.next<ProfileId>(clock.nowMs());
      return { organizationId, profileId, shard: shardOf(organizationId, profileId) };
    }).sort(compareProfileKeys);
    await own.database.transaction((trx) => addProfileRebuilds(trx, keys));
    return keys;
  };
  const nextTasks = async () => (await planner.next(ALL_SHARDS)).tasks;
  const idsOf = (tasks: readonly RebuildTask[]) =>
    tasks.flatMap(({ profiles }) => ("ids" in profiles ? profiles.ids : []));

  test("an older evaluation keeps its turn while newer ones begin", async () => {
    const organizationId = newOrganization();
    const begun: EvaluationId[] = [];
    const ended: EvaluationId[] = [];
    const open = new Map<EvaluationId, Set<number>>();
    for (let step = 0; step < 16; step += 1) {
      const evaluationId = await startBackfill(organizationId);
      begun.push(evaluationId);
      open.set(evaluationId, new Set(ALL_SHARDS));
      const tasks = await nextTasks();
      expect(tasks).toHaveLength(4);
      for (const { shard, backfills } of tasks) {
        // A step ends all backfills of its shards.
        await own.database.transaction((trx) => advanceBackfills(trx, backfills, undefined));
        for (const backfill of backfills) open.get(backfill.evaluationId)?.delete(shard);
      }
      for (const [id, shards] of open) if (shards.size === 0 && !ended.includes(id)) ended.push(id);
    }
    // Four steps reach all shards, and each step completes the evaluation that is due.
    expect(ended).toEqual(begun.slice(0, 13));
  });

  test("endless edits of an organization leave every second step to another organization", async () => {
    const [busy, calm] = [newOrganization(), newOrganization()];
    await startBackfill(calm);
    const served: OrganizationId[] = [];
    for (let step = 0; step < 8; step += 1) {
      const evaluationId = await startBackfill(busy);
      const tasks = await nextTasks();
      served.push(tasks[0]?.organizationId ?? busy);
      await own.database.transaction((trx) => deleteBackfills(trx, busy, evaluationId));
      for (const { backfills, organizationId } of tasks) {
        if (organizationId === busy) continue;
        await own.database.transaction((trx) => advanceBackfills(trx, backfills, undefined));
      }
    }
    expect(served.filter((id) => id === calm)).toHaveLength(4);
  });

  test("rebuilds and backfills take turns", async () => {
    const organizationId = newOrganization();
    await startBackfill(organizationId);
    await mark(organizationId, 3);
    const kinds: string[] = [];
    for (let step = 0; step < 6; step += 1) {
      // Nothing is completed, as if new marks and new backfills never ended.
      kinds.push(idsOf(await nextTasks()).length > 0 ? "rebuilds" : "backfills");
    }
    expect(kinds.filter((kind) => kind === "rebuilds")).toHaveLength(3);
    expect(kinds.filter((kind, index) => kind === kinds[index + 1])).toEqual([]);
  });

  test("marks that return at once do not keep later marks waiting", async () => {
    const organizationId = newOrganization();
    const keys = await mark(organizationId, 450);
    const seen = new Set<ProfileId>();
    for (let step = 0; step < 3; step += 1) for (const id of idsOf(await nextTasks())) seen.add(id);
    expect(seen.size).toBe(keys.length);
    // The next round begins with the first mark again.
    expect(idsOf(await nextTasks())[0]).toBe(keys[0]?.profileId);
  });

  test("a postponed profile waits, and no other profile does", async () => {
    const organizationId = newOrganization();
    const [first, second] = await mark(organizationId, 2);
    if (first === undefined || second === undefined) throw new Error("unreachable");
    planner.postpone(first, clock.nowMs() + 2000);
    expect(idsOf(await nextTasks())).toEqual([second.profileId]);
    await own.database.transaction((trx) =>
      deleteProfileRebuilds(trx, organizationId, second.shard, [second.profileId]),
    );
    expect(await planner.next(ALL_SHARDS)).toEqual({ tasks: [], nextMs: clock.nowMs() + 2000 });
    clock.setNowMs(clock.nowMs() + 2000);
    expect(idsOf(await nextTasks())).toEqual([first.profileId]);
  });
});

describe.each(ENGINES)("segments on %s", (engine) => {
  let harness: SegmentsHarness;
  afterEach(() => harness.close());

  test("that are added one after another complete in order, while more are added", async () => {
    harness = await openHarness(engine);
    const { organizationId, segments } = harness;
    for (let index = 0; index < 48; index += 1)
      harness.events.addProfile(organizationId, harness.newProfile());
    const eventual = harness.first.as(organizationId, { "muster-consistency": "eventual" });
    const completed: string[] = [];
    let created = 0;
    const add = async (): Promise<void> => {
      created += 1;
      await segments.createSegment({ name: `S${created}`, eventName: "viewed", minCount: created });
    };
    const noteCompleted = async (): Promise<void> => {
      for (const { slug, state } of (await eventual.listSegments({})).segments) {
        const isNew = slug.startsWith("s") && !completed.includes(slug);
        if (isNew && state === SegmentState.LIVE) completed.push(slug);
      }
    };
    let completedMeanwhile = 0;
    harness.events.beforeScan = async () => {
      // A new segment for every two rounds of four shards.
      if (harness.events.scans % 8 !== 0 || created === 12) return;
      await noteCompleted();
      completedMeanwhile = completed.length;
      await add();
    };
    await add();
    await waitFor(
      async () => {
        await harness.clock.advance(50);
        await noteCompleted();
        return created === 12 && completed.length === 12;
      },
      { timeoutMs: 30_000 },
    );
    expect(completed).toEqual(Array.from({ length: 12 }, (_, index) => `s${index + 1}`));
    expect(completedMeanwhile).toBeGreaterThan(0);
  });
});
