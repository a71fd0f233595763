// Simulates retention for a profile, and compares every result with a brute-force evaluation over ALL events,
// including removed ones.

import type { EvaluationId, OrganizationId, ProfileId } from "@muster/core";
import { expect } from "vitest";
import { factsOfLeaf } from "../src/engine/facts/fact-spec.ts";
import { isMemberByRawEvents } from "../src/engine/reference/reference-evaluator.ts";
import { readsEventsBefore, spansOf } from "../src/engine/rule/lookback.ts";
import { type EvaluatedRule, leavesOf, segmentsIn } from "../src/engine/rule/rule.ts";
import { applyDueEvents, recordEvent, recordProfile } from "../src/engine/state/apply-events.ts";
import { Definitions, type SegmentDefinition } from "../src/engine/state/definitions.ts";
import { earlier, evaluateAll, evaluateSegments } from "../src/engine/state/membership.ts";
import { completeSinceOf } from "../src/engine/state/merge-retained-facts.ts";
import { emptyState, needsRebuild, type ProfileState } from "../src/engine/state/profile-state.ts";
import { decodeState, encodeState } from "../src/engine/state/state-codec.ts";
import { NO_PROFILE } from "../src/profiles/profile-key.ts";
import type { RebuildReason } from "../src/profiles/rebuild-reason.ts";
import { isBackfilled, retainKnownFacts } from "../src/rebuild/retained-facts.ts";
import { ownScopeOf } from "../src/rebuild/scan-scope.ts";
import { type Arrival, FINE, TAIL_TICKS, TICKS } from "./random-rules.ts";

const PROFILE = "01000000-0000-7000-8000-000000000001" as ProfileId;
const ORGANIZATION = "02000000-0000-7000-8000-000000000002" as OrganizationId;
const { startMs } = FINE;

/** An action at a tick, besides the events of the trace. */
export interface PlannedAction {
  readonly tick: number;
  readonly action: "purge" | "rebuild" | "lose a message" | "add a segment" | "finish the backfill";
}

export interface SimulationPlan {
  readonly rules: readonly EvaluatedRule[];
  readonly trace: readonly Arrival[];
  readonly keepMs: number;
  readonly scheduledEventsMax: number;
  /** Whether backfills read the events of their own rules alone. */
  readonly readsOwnEvents: boolean;
  readonly actions: readonly PlannedAction[];
}

/** A profile of an organization with retention, as the running system stores the profile. */
export class RetentionSimulation {
  readonly #plan: SimulationPlan;
  #state = emptyState();
  #nextDueMs: number | undefined;
  #applied = 0;
  #completeSinceMs = 0;
  #active: readonly EvaluatedRule[];
  #inactive: readonly EvaluatedRule[];
  #unfinished = new Set<EvaluationId>();
  readonly #horizons = new Map<string, number>();
  readonly #totals = new Map<string, number>();
  checked = 0;
  beyond = 0;

  constructor(plan: SimulationPlan) {
    this.#plan = plan;
    // Only rules that the retention allows can be saved. Rules that reference segments are left out.
    const allowed = plan.rules.filter(
      (rule) => spansOf(rule).every(({ ms }) => ms <= plan.keepMs) && segmentsIn(rule).length === 0,
    );
    const later = plan.actions.filter(({ action }) => action === "add a segment").length;
    this.#active = allowed.slice(0, Math.max(0, allowed.length - later));
    this.#inactive = allowed.slice(this.#active.length);
  }

  run(): void {
    for (let tick = 0; tick <= TICKS + TAIL_TICKS; tick += 1) {
      const nowMs = startMs + tick;
      const actions = this.#plan.actions.filter((action) => action.tick === tick).map(({ action }) => action);
      if (tick === 0) this.#createProfile(nowMs);
      let losesMessage = actions.includes("lose a message");
      for (
        let nextArrival = this.#nextArrival(nowMs);
        nextArrival !== undefined;
        nextArrival = this.#nextArrival(nowMs)
      ) {
        this.#applied += 1;
        if (losesMessage) this.#rebuild(nowMs, "stale");
        else this.#apply(nextArrival, nowMs);
        losesMessage = false;
      }
      this.#runTimer(nowMs);
      if (actions.includes("add a segment")) this.#add();
      if (actions.includes("purge")) this.#completeSinceMs = nowMs - this.#plan.keepMs;
      if (actions.includes("rebuild")) this.#rebuild(nowMs, undefined);
      if (actions.includes("finish the backfill")) {
        this.#rebuild(nowMs, undefined, this.#plan.readsOwnEvents);
        this.#unfinished = new Set();
      }
      this.#state = decodeState(encodeState(this.#state));
      this.#check(nowMs);
    }
  }

  #nextArrival(nowMs: number): Arrival | undefined {
    const nextArrival = this.#plan.trace[this.#applied];
    return nextArrival !== undefined && nextArrival.arrivesMs <= nowMs ? nextArrival : undefined;
  }

  get #definitions(): Definitions {
    const segments = this.#active.map((rule, index): SegmentDefinition => ({ id: idOf(index), rule }));
    return new Definitions(this.#active.length, segments);
  }

  #createProfile(nowMs: number): void {
    recordProfile(this.#state, this.#definitions, { createMs: startMs, traits: "{}" }, new Set());
    this.#nextDueMs = evaluateAll(this.#state, this.#definitions, nowMs).nextDueMs;
  }

  #add(): void {
    const [nextArrival, ...rest] = this.#inactive;
    if (nextArrival === undefined) return;
    this.#unfinished.add(idOf(this.#active.length));
    this.#active = [...this.#active, nextArrival];
    this.#inactive = rest;
  }

  #apply(arrival: Arrival, nowMs: number): void {
    if (this.#applied <= this.#state.asOf) return;
    const changedSegments = new Set<SegmentDefinition>();
    applyDueEvents(this.#state, this.#definitions, nowMs, changedSegments);
    this.#record(this.#state, arrival, this.#applied, nowMs, changedSegments);
    const { nextDueMs } = evaluateSegments(this.#state, this.#definitions, changedSegments, nowMs);
    this.#nextDueMs = earlier(this.#nextDueMs, nextDueMs);
    if (needsRebuild(this.#state, nowMs)) this.#rebuild(nowMs, "stale");
  }

  #runTimer(nowMs: number): void {
    if (this.#nextDueMs === undefined || this.#nextDueMs > nowMs) return;
    this.#nextDueMs = evaluateAll(this.#state, this.#definitions, nowMs).nextDueMs;
    if (needsRebuild(this.#state, nowMs)) this.#rebuild(nowMs, "stale");
  }

  #rebuild(nowMs: number, reason: RebuildReason | undefined, readsOwnEvents = false): void {
    const definitions = this.#definitions;
    const backfills = [...this.#unfinished].map((evaluationId) => ({
      organizationId: ORGANIZATION,
      evaluationId,
      shard: 0,
      afterProfileId: NO_PROFILE,
    }));
    const profiles = { after: NO_PROFILE, limit: 1 };
    const scope = readsOwnEvents ? ownScopeOf({ profiles, backfills }, definitions) : undefined;
    const names = scope && new Set(scope.eventNames);
    const committed = this.#plan.trace.findLastIndex((one) => receivedMs(one) <= nowMs) + 1;
    const position = Math.max(this.#applied, committed);
    const known = this.#plan.trace.slice(0, position).map((arrival, index) => ({ arrival, index }));
    const left = known.filter(
      ({ arrival }) => Math.max(receivedMs(arrival), arrival.ms) >= this.#completeSinceMs,
    );
    const fresh = emptyState();
    fresh.asOf = position;
    recordProfile(fresh, definitions, { createMs: startMs, traits: traitsOf(known) }, new Set());
    left.sort((a, b) => a.arrival.ms - b.arrival.ms || a.index - b.index);
    for (const { arrival, index } of left) {
      if (arrival.eventName === undefined || names?.has(arrival.eventName) === false) continue;
      this.#record(fresh, arrival, index + 1, nowMs, new Set());
    }
    for (const [id, enteredMs] of this.#state.memberships) fresh.memberships.set(id, enteredMs);
    const unapplied = known.slice(this.#applied).flatMap(({ arrival, index }) => {
      if (arrival.eventName === undefined) return [];
      return [{ position: index + 1, event: eventOf(arrival, index + 1) }];
    });
    retainKnownFacts(fresh, definitions, {
      profileId: PROFILE,
      before: this.#state,
      reason,
      scannedMs: nowMs,
      completeSinceMs: this.#completeSinceMs,
      unapplied: { events: new Map([[PROFILE, unapplied]]), identityChanges: new Set() },
      backfills,
      factKeys: scope?.factKeys,
      scheduledEventsMax: this.#plan.scheduledEventsMax,
    });
    for (const fact of definitions.facts) {
      if (this.#completeSinceMs === 0 || isBackfilled(fact, this.#unfinished)) continue;
      if (scope?.factKeys?.has(fact.spec.key) === false) continue;
      this.#horizons.set(fact.spec.key, this.#completeSinceMs);
    }
    this.#state = fresh;
    this.#nextDueMs = evaluateAll(fresh, definitions, nowMs).nextDueMs;
  }

  #record(
    state: ProfileState,
    arrival: Arrival,
    position: number,
    nowMs: number,
    changedSegments: Set<SegmentDefinition>,
  ): void {
    const definitions = this.#definitions;
    if (arrival.eventName === undefined) {
      recordProfile(state, definitions, { createMs: startMs, traits: arrival.properties }, changedSegments);
    } else {
      recordEvent(state, definitions, eventOf(arrival, position), nowMs, changedSegments, {
        scheduledEventsMax: this.#plan.scheduledEventsMax,
      });
    }
  }

  #check(nowMs: number): void {
    const definitions = this.#definitions;
    const known = this.#plan.trace
      .slice(0, Math.max(this.#applied, this.#state.asOf))
      .map((arrival, index) => ({ arrival, index }));
    const all = known.flatMap(({ arrival: { eventName, ms, properties } }) =>
      eventName === undefined ? [] : [{ eventName, ms, properties }],
    );
    const referenceContext = { createMs: startMs, traits: traitsOf(known) };
    for (const { id, rule } of definitions.segments.values()) {
      if (this.#unfinished.has(id)) continue;
      const isMissing = leavesOf(rule).some((leaf) => {
        const sinceMs = Math.max(0, ...factsOfLeaf(leaf).map(({ key }) => this.#completeSinceOf(key)));
        return sinceMs > 0 && readsEventsBefore(leaf, sinceMs, nowMs);
      });
      if (isMissing) {
        this.beyond += 1;
        continue;
      }
      this.checked += 1;
      const expected = isMemberByRawEvents(rule, all, nowMs, referenceContext);
      const at = `${id} at ${nowMs - startMs}`;
      expect({ at, member: this.#state.memberships.has(id) }).toEqual({ at, member: expected });
    }
    this.#checkNoCountFell();
  }

  /** A counted event stays counted. */
  #checkNoCountFell(): void {
    for (const [key, facts] of this.#state.facts) {
      const total = facts.kind === "count" ? facts.total : facts.kind === "tally" ? facts.count : 0;
      expect(total, key).toBeGreaterThanOrEqual(this.#totals.get(key) ?? 0);
      this.#totals.set(key, total);
    }
    for (const [key, total] of this.#totals) if (total > 0) expect(this.#state.facts.has(key)).toBe(true);
  }

  #completeSinceOf(key: string): number {
    return completeSinceOf(this.#state, key, this.#horizons.get(key) ?? 0);
  }
}

function idOf(index: number): EvaluationId {
  return `s${index}` as EvaluationId;
}

function receivedMs({ arrivesMs, lagMs }: Arrival): number {
  return arrivesMs - lagMs;
}

function eventOf({ eventName = "", ms, properties, ...arrival }: Arrival, position: number) {
  return {
    eventName,
    properties,
    instant: [ms, `e${String(position).padStart(4, "0")}`] as const,
    organizationId: ORGANIZATION,
    profileId: PROFILE,
    receivedMs: arrival.arrivesMs - arrival.lagMs,
  };
}

function traitsOf(known: readonly { readonly arrival: Arrival }[]): string {
  return known.findLast(({ arrival }) => arrival.eventName === undefined)?.arrival.properties ?? "{}";
}
