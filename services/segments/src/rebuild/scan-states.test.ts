// Scans of profiles with long histories: the process stays free for other work, and a thread gives the same state.
import { create } from "@bufbuild/protobuf";
import {
  type ScannedEvent,
  ScannedEventSchema,
  ScannedProfileSchema,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import {
  type Clock,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  randomIds,
  systemClock,
  uuidToBytes,
  WorkBudget,
} from "@muster/core";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { ThreadPool } from "@muster/runtime";
import { waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { matcherOf } from "../engine/rule/matcher.ts";
import { recordEvent } from "../engine/state/apply-events.ts";
import { Definitions } from "../engine/state/definitions.ts";
import { emptyState, type ProfileState } from "../engine/state/profile-state.ts";
import { encodeState } from "../engine/state/state-codec.ts";
import { eventIdText } from "../events/event-id.ts";
import { LongHistory } from "./long-history.ts";
import { wholeScopeOf } from "./scan-scope.ts";
import { type ScanOptions, scanStates } from "./scan-states.ts";

const PROFILE = "01000000-0000-7000-8000-000000000001" as ProfileId;
const ORGANIZATION = "02000000-0000-7000-8000-000000000002" as OrganizationId;
const START_MS = 1_700_000_000_000;
const DEFINITIONS = new Definitions(1, [
  {
    id: "s1" as EvaluationId,
    rule: {
      kind: "sequence",
      steps: ["a", "b", "c"].map((name) => matcherOf(name)),
      withinMs: 50,
      window: undefined,
    },
  },
  {
    id: "s2" as EvaluationId,
    rule: {
      kind: "performed",
      matcher: matcherOf("b"),
      count: { kind: "at_least", n: 100 },
      window: { kind: "last", ms: 5_000 },
    },
  },
]);

function eventsBetween(start: number, end: number): ScannedEvent[] {
  return Array.from({ length: end - start }, (_, offset) => {
    const ms = START_MS + start + offset;
    const name = ["a", "b", "c", "d"][(start + offset) % 4] ?? "a";
    const id = uuidToBytes(randomIds.next(ms));
    return create(ScannedEventSchema, { id, name, occurredMs: BigInt(ms), properties: "{}" });
  });
}

function applyAll(state: ProfileState, events: readonly ScannedEvent[], nowMs: number): void {
  for (const { id, name, occurredMs, properties } of events) {
    const instant = [Number(occurredMs), eventIdText(id)] as const;
    recordEvent(state, DEFINITIONS, { eventName: name, instant, properties }, nowMs, new Set());
  }
}

const SCANNED_PROFILE = create(ScannedProfileSchema, { profileId: uuidToBytes(PROFILE), traits: "{}" });
const REQUEST = { organizationId: ORGANIZATION, shard: 0, profiles: { ids: [PROFILE] } };

/** A feed that never waits, as in embedded mode. */
function feedOf(parts: readonly ScannedEvent[][]) {
  return {
    scan: async (
      _: unknown,
      onEvents: (...part: [ProfileId, ScannedEvent[], typeof SCANNED_PROFILE]) => unknown,
    ) => {
      for (const events of parts) await onEvents(PROFILE, events, SCANNED_PROFILE);
      return { position: 7, more: false, completeSinceMs: 0 };
    },
  };
}

/** Each reading of the clock takes a millisecond. */
function slowClock(): Clock {
  let nowMs = 0;
  return {
    ...systemClock,
    monotonicMs: () => {
      nowMs += 1;
      return nowMs;
    },
  };
}

function optionsWith(signal: AbortSignal): ScanOptions {
  const onSpent = () => new Error("unbounded");
  const budget = new WorkBudget({
    clock: slowClock(),
    maxUnits: Number.POSITIVE_INFINITY,
    onSpent,
    signal,
  });
  return { nowMs: START_MS + 1_000_000, budget, signal };
}

describe("a scan on the main thread", () => {
  test("gives the event loop a turn every few milliseconds", async () => {
    const parts = Array.from({ length: 40 }, (_, index) => eventsBetween(index * 50, (index + 1) * 50));
    let isDone = false;
    let turns = 0;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    const { signal } = new AbortController();
    const deps = { feed: feedOf(parts), threads: undefined };
    const scan = await scanStates(deps, REQUEST, DEFINITIONS, wholeScopeOf(DEFINITIONS), optionsWith(signal));
    isDone = true;
    expect(turns).toBeGreaterThan(100);
    expect(scan.eventCounts.get(PROFILE)).toBe(2000);
    const expected = emptyState();
    applyAll(expected, parts.flat(), START_MS + 1_000_000);
    expect([...(scan.states.get(PROFILE)?.facts ?? [])]).toEqual([...expected.facts]);
  });

  test("ends with its signal", async () => {
    const stopping = new AbortController();
    const parts = Array.from({ length: 40 }, (_, index) => eventsBetween(index * 50, (index + 1) * 50));
    const deps = { feed: feedOf(parts), threads: undefined };
    setImmediate(() => stopping.abort(new Error("stopping")));
    await expect(
      scanStates(deps, REQUEST, DEFINITIONS, wholeScopeOf(DEFINITIONS), optionsWith(stopping.signal)),
    ).rejects.toThrow("stopping");
  });
});

describe("a long history", () => {
  let threads: ThreadPool;
  beforeEach(() => {
    const log = createLogger({ level: "silent" });
    threads = new ThreadPool({ clock: systemClock, log, metrics: new Metrics(), threads: 1 });
  });
  afterEach(() => threads.close());

  const profile = { id: PROFILE, createMs: START_MS, traits: "{}" };
  const nowMs = START_MS + 7_000;
  const begin = () =>
    new LongHistory(threads, {
      organizationId: ORGANIZATION,
      definitions: DEFINITIONS,
      nowMs,
      signal: new AbortController().signal,
    });

  test("continues on a thread with the state of the main thread", { timeout: 60_000 }, async () => {
    const [first, later] = [eventsBetween(0, 3_000), eventsBetween(3_000, 8_000)];
    const state = emptyState();
    applyAll(state, first, nowMs);
    const history = begin();
    await waitFor(() => history.add(profile, later.slice(0, 2_000), state), { timeoutMs: 30_000 });
    expect(await history.add(profile, later.slice(2_000), state)).toBe(true);
    const result = await history.finish();
    // The last events are dated after `nowMs` and wait in the state.
    applyAll(state, later, nowMs);
    expect(result && encodeState(result)).toBe(encodeState(state));
    expect(result?.scheduledEvents.length).toBeGreaterThan(0);
    await waitFor(() => threads.running === 0);
  });

  test("of a scan has the same state, and uses one thread at a time", { timeout: 60_000 }, async () => {
    const slot = { pool: threads, isTaken: false };
    const parts = Array.from({ length: 70 }, (_, index) => eventsBetween(index * 100, (index + 1) * 100));
    const { signal } = new AbortController();
    const options = optionsWith(signal);
    const deps = { feed: feedOf(parts), threads: slot };
    const scans = [1, 2].map(() =>
      scanStates(deps, REQUEST, DEFINITIONS, wholeScopeOf(DEFINITIONS), options),
    );
    const expected = emptyState();
    applyAll(expected, parts.flat(), options.nowMs);
    for (const { states } of await Promise.all(scans)) {
      expect([...(states.get(PROFILE)?.facts ?? [])]).toEqual([...expected.facts]);
    }
    expect(slot.isTaken).toBe(false);
    await waitFor(() => threads.running === 0 && threads.waiting === 0, { timeoutMs: 30_000 });
  });

  test("stays on the main thread while another task of the organization runs", async () => {
    const [running, second] = [begin(), begin()];
    expect(await second.add(profile, eventsBetween(0, 10), emptyState())).toBe(false);
    expect(await second.finish()).toBeUndefined();
    running.cancel();
    await waitFor(() => threads.running === 0 && threads.waiting === 0, { timeoutMs: 30_000 });
  });
});
