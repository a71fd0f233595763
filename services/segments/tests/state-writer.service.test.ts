// Tests that states of rebuilds are evaluated before the write transaction, and follow rows that change in between.
import { type EvaluationId, type OrganizationId, type ProfileId, randomIds, shardOf } from "@muster/core";
import { Metrics } from "@muster/metrics";
import { ENGINES, FakeClock, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Announcer } from "../src/announcements/announcer.ts";
import { matcherOf } from "../src/engine/rule/matcher.ts";
import { recordEvent } from "../src/engine/state/apply-events.ts";
import { Definitions } from "../src/engine/state/definitions.ts";
import { emptyState } from "../src/engine/state/profile-state.ts";
import { segmentsModule } from "../src/module.ts";
import { type ProfileKey, profileKeyText } from "../src/profiles/profile-key.ts";
import { loadStates, saveStates } from "../src/profiles/state-store.ts";
import { StateWriter } from "../src/rebuild-steps/state-writer.ts";
import { SegmentsMetrics } from "../src/segments-metrics.ts";

const SEGMENT = "01000000-0000-7000-8000-000000000001" as EvaluationId;
const log: string[] = [];

class LoggedDefinitions extends Definitions {
  override segmentsReading(...keys: Parameters<Definitions["segmentsReading"]>) {
    log.push("evaluation");
    return super.segmentsReading(...keys);
  }
}

const definitions = new LoggedDefinitions(1, [
  {
    id: SEGMENT,
    rule: {
      kind: "performed",
      matcher: matcherOf("a"),
      count: { kind: "at_least", n: 1 },
      window: undefined,
    },
  },
]);

describe.each(ENGINES)("states on %s", (engine) => {
  let own: TestDatabase;
  let key: ProfileKey;
  let clock: FakeClock;
  beforeEach(async () => {
    log.length = 0;
    clock = new FakeClock();
    own = await openTestDatabase(engine, segmentsModule.migrations);
    const organizationId = randomIds.next<OrganizationId>(0);
    const profileId = randomIds.next<ProfileId>(0);
    key = { organizationId, profileId, shard: shardOf(organizationId, profileId) };
    await saveEntry(1);
  });
  afterEach(() => own.close());

  /** Saves a state without facts, with a membership since the instant. */
  const saveEntry = (enteredMs: number) => {
    const state = { ...emptyState(), memberships: new Map([[SEGMENT, enteredMs]]) };
    return own.database.transaction((trx) => saveStates(trx, [{ ...key, state, nextDueMs: undefined }]));
  };

  /** Writes a scanned state. `before` runs between evaluation and transaction. */
  async function write(before: () => Promise<unknown>): Promise<number | undefined> {
    const state = { ...emptyState(), asOf: 7 };
    const instant = [5, "1"] as const;
    recordEvent(state, definitions, { eventName: "a", instant, properties: "{}" }, 10, new Set());
    const writer = new StateWriter({
      announcer: {} as Announcer,
      clock,
      database: own.database,
      metrics: new SegmentsMetrics(new Metrics()),
      ruleVersions: {
        loadProvisioned: async () => definitions,
        lockOrganization: async () => {},
        publishRemoved: async () => {},
        switchFinishedRules: async () => {},
      },
    });
    const owned = {
      shards: [key.shard],
      position: () => 7,
      async transaction<T>(_: unknown, body: Parameters<typeof own.database.transaction<T>>[0]) {
        await before();
        log.push("begin");
        const result = await own.database.transaction(body);
        log.push("end");
        return result;
      },
    };
    const { organizationId, shard, profileId } = key;
    const scanned = {
      task: { organizationId, shard, profiles: { ids: [profileId] }, backfills: [] },
      appliedPosition: 7,
      scannedMs: 10,
      unapplied: undefined,
      position: 7,
      more: false,
      completeSinceMs: 0,
      isScanned: true,
      states: new Map([[profileId, state]]),
      factKeys: undefined,
      eventCounts: new Map([[profileId, 1]]),
    };
    await writer.write(owned, [scanned], definitions);
    const stored = await loadStates(own.database.reader, [key]);
    const found = stored.get(profileKeyText(organizationId, profileId))?.state;
    expect(found?.facts.size).toBe(1);
    return found?.memberships.get(SEGMENT);
  }

  test("are evaluated before the transaction", async () => {
    expect(await write(async () => {})).toBe(1);
    expect(log).toEqual(["evaluation", "begin", "end"]);
  });

  test("are evaluated again after a row has changed", async () => {
    let writes = 0;
    const enteredMs = await write(async () => {
      writes += 1;
      if (writes === 1) await saveEntry(2);
    });
    expect(enteredMs).toBe(2);
    expect(log).toEqual(["evaluation", "begin", "end", "evaluation", "begin", "end"]);
  });

  test("are evaluated in the transaction if rows change each time", async () => {
    let writes = 0;
    const enteredMs = await write(async () => {
      writes += 1;
      await saveEntry(1 + writes);
    });
    expect(enteredMs).toBe(4);
    expect(log.slice(-3)).toEqual(["begin", "evaluation", "end"]);
  });
});
