// Tests the simulations on threads without services: chunks of interleaved profiles, and limits of work.
import type { ScannedEvent } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { type OrganizationId, type ProfileId, randomIds, uuidToBytes } from "@muster/core";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { ThreadPool, type ThreadSession } from "@muster/runtime";
import { FakeClock } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { REPLAY } from "../src/backtest/replay-task.ts";
import { matcherOf } from "../src/engine/rule/matcher.ts";
import type { EvaluatedRule } from "../src/engine/rule/rule.ts";
import { COUNT } from "../src/preview/count-task.ts";
import { encodeSimulation } from "../src/simulation/encoded-definitions.ts";
import { ChunkBuilder, type IdentifiedProfile, type ProfileChunk } from "../src/simulation/profile-chunks.ts";
import { ProfileSender } from "../src/simulation/profile-sender.ts";
import { RuleSimulation } from "../src/simulation/rule-simulation.ts";

const NOW_MS = Date.UTC(2026, 0, 31);
const MINUTE_MS = 60_000;
const ORGANIZATION = randomIds.next<OrganizationId>(NOW_MS);
const VIEWED_TWICE: EvaluatedRule = {
  kind: "performed",
  matcher: matcherOf("viewed"),
  count: { kind: "at_least", n: 2 },
  window: undefined,
};

let pool: ThreadPool;

beforeAll(() => {
  const log = createLogger({ level: "silent" });
  pool = new ThreadPool({ clock: new FakeClock(NOW_MS), log, metrics: new Metrics() });
});
afterAll(() => pool.close());

const profile = (): IdentifiedProfile => ({ id: randomIds.next<ProfileId>(0), createMs: 0, traits: "{}" });

/** Views, a minute apart, the last a minute before now. */
function views(count: number): ScannedEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    $typeName: "muster.events.v1.ScannedEvent" as const,
    id: uuidToBytes(randomIds.next(NOW_MS)),
    name: "viewed",
    occurredMs: BigInt(NOW_MS - (count - index) * MINUTE_MS),
    properties: "{}",
  }));
}

const common = { organizationId: ORGANIZATION, signal: new AbortController().signal };
const simulation = encodeSimulation(new RuleSimulation(VIEWED_TWICE, []));

function count(send: (session: ThreadSession<ProfileChunk>) => Promise<void>) {
  const input = { simulation, nowMs: NOW_MS, unitsMax: 1_000_000, shownMax: 10 };
  return pool.run(COUNT, { ...common, input }, send);
}

describe("chunks", () => {
  test("a profile whose events come in several chunks, between those of another lane, is counted once", async () => {
    const [ada, bo] = [profile(), profile()];
    const [first, second] = views(2);
    const result = await count(async (session) => {
      for (const [lane, one, event] of [
        [0, ada, first],
        [1, bo, first],
        [0, ada, second],
      ] as const) {
        const chunk = new ChunkBuilder();
        chunk.add(lane, one, event === undefined ? [] : [event]);
        await session.send(chunk.build());
      }
      const end = new ChunkBuilder();
      end.endLane(0);
      end.endLane(1);
      await session.send(end.build());
    });
    expect(result).toMatchObject({ checked: 2, members: 1, shown: [ada.id], isComplete: true });
  });

  test("a profile that the end of the chunks cuts off is not counted", async () => {
    const result = await count(async (session) => {
      const sender = new ProfileSender(session);
      await sender.add(0, profile(), views(2));
      await sender.add(0, profile(), views(2));
      await sender.flush();
    });
    expect(result).toMatchObject({ checked: 1, members: 1 });
  });

  test("large amounts of events let the event loop turn", async () => {
    let turns = 0;
    let isCounted = false;
    const countTurns = (): void => {
      turns += 1;
      if (!isCounted) setImmediate(countTurns);
    };
    const events = views(1_000);
    await count(async (session) => {
      const sender = new ProfileSender(session);
      setImmediate(countTurns);
      for (let sent = 0; sent < 20; sent += 1) await sender.add(0, profile(), events);
      sender.endLane(0);
      await sender.flush();
      isCounted = true;
    });
    expect(turns).toBeGreaterThanOrEqual(20);
  });
});

describe("limits of work", () => {
  function replay(unitsMax: number, histories: readonly ScannedEvent[][]) {
    const input = { simulation, nowMs: NOW_MS, days: 2, unitsMax };
    return pool.run(REPLAY, { ...common, input }, async (session) => {
      const sender = new ProfileSender(session);
      for (const events of histories) await sender.add(0, profile(), events);
      sender.endLane(0);
      await sender.flush();
    });
  }

  test("within the limit all profiles are replayed", async () => {
    const { days, ...result } = await replay(60_000_000, [views(3), views(3)]);
    expect(result).toEqual({ membersBefore: 0, profiles: 2, events: 6, isComplete: true });
    expect(days.reduce((sum, { entries }) => sum + entries, 0)).toBe(2);
  });

  test("beyond the limit the profiles before are a result, and the profile in progress adds nothing", async () => {
    const leaves = Array.from({ length: 64 }, () => VIEWED_TWICE);
    const costly = encodeSimulation(new RuleSimulation({ kind: "any", rules: leaves }, []));
    // Each event of the second profile is at its own instant, and costs 65 units.
    const input = { simulation: costly, nowMs: NOW_MS, days: 30, unitsMax: 65 * 20_000 };
    const result = await pool.run(REPLAY, { ...common, input }, async (session) => {
      const sender = new ProfileSender(session);
      await sender.add(0, profile(), views(3));
      await sender.add(0, profile(), views(30_000));
      sender.endLane(0);
      await sender.flush();
    });
    expect(result).toMatchObject({ profiles: 1, isComplete: false, membersBefore: 0 });
    expect(result.days.reduce((sum, { entries }) => sum + entries, 0)).toBe(1);
  });

  test("a limit that is reached within the first profile is an error", async () => {
    await expect(replay(1, [views(3)])).rejects.toMatchObject({ reason: "WORK_LIMIT_REACHED" });
  });
});
