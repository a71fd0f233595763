// Updates a profile's memberships from its facts and computes when they may change without an event.
import type { EvaluationId } from "@muster/core";
import { EvaluationContext, evaluateAt } from "../evaluation/evaluate.ts";
import { applyDueEvents } from "./apply-events.ts";
import type { Definitions, SegmentDefinition } from "./definitions.ts";
import { type ProfileState, viewOf } from "./profile-state.ts";

export interface MembershipChange {
  readonly evaluationId: EvaluationId;
  readonly member: boolean;
  /** When the profile entered the segment. For an exit, the time of the earlier entry. */
  readonly enteredMs: number;
}

/** An evaluation became, or stopped being, limited for the profile. */
export interface LimitChange {
  readonly evaluationId: EvaluationId;
  readonly isLimited: boolean;
}

export interface MembershipUpdate {
  readonly changes: readonly MembershipChange[];
  readonly limitChanges: readonly LimitChange[];
  /** The earliest instant at which an evaluated rule or a scheduled event may change a membership. */
  readonly nextDueMs: number | undefined;
}

/**
 * Evaluates these segments at `nowMs`, and the segments that refer to a segment whose result changes. Due
 * scheduled events must have been applied before. A segment that reads unknown facts keeps its membership.
 */
export function evaluateSegments(
  state: ProfileState,
  definitions: Definitions,
  segments: Iterable<SegmentDefinition>,
  nowMs: number,
): MembershipUpdate {
  const steps = evaluateInSteps(state, definitions, segments, nowMs);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Like {@link evaluateSegments}. Yields after each segment, so that the caller may interrupt long work. */
export function* evaluateInSteps(
  state: ProfileState,
  definitions: Definitions,
  segments: Iterable<SegmentDefinition>,
  nowMs: number,
): Generator<void, MembershipUpdate> {
  const changes: MembershipChange[] = [];
  let nextDueMs = earlier(state.scheduledEvents[0]?.instant[0], state.rebuildDueMs);
  const context = new EvaluationContext(viewOf(state, definitions.ruleOf), nowMs);
  const limited = definitions.segmentsReading(state.unknownKeys);
  const limitChanges = updateLimits(state, definitions, limited);
  const pending = new Set(segments);
  for (const { evaluationId, isLimited } of limitChanges) {
    const segment = definitions.segments.get(evaluationId);
    if (!isLimited && segment !== undefined) pending.add(segment);
  }
  // The loop also visits segments that are added to the set meanwhile.
  for (const segment of pending) {
    if (limited.has(segment)) continue;
    const { id, rule, predecessorId } = segment;
    const { member, nextChangeAt } = evaluateAt(rule, context);
    yield;
    nextDueMs = earlier(nextDueMs, nextChangeAt);
    const enteredMs = state.memberships.get(id);
    if (member === (enteredMs !== undefined)) continue;
    const sinceMs = (predecessorId && state.memberships.get(predecessorId)) ?? nowMs;
    changes.push({ evaluationId: id, member, enteredMs: enteredMs ?? sinceMs });
    if (member) state.memberships.set(id, sinceMs);
    else state.memberships.delete(id);
    for (const dependent of definitions.dependents(id)) pending.add(dependent);
  }
  for (const segment of limited) changes.push(...followPredecessor(state, segment));
  return { changes, limitChanges, nextDueMs };
}

/** Updates `state.limitedEvaluations`. Evaluations without a definition are dropped with their counts. */
function updateLimits(
  state: ProfileState,
  definitions: Definitions,
  limited: ReadonlySet<SegmentDefinition>,
): LimitChange[] {
  const { limitedEvaluations } = state;
  if (limited.size === 0 && limitedEvaluations.size === 0) return [];
  const changes: LimitChange[] = [];
  const ids = new Set([...limited].map(({ id }) => id));
  for (const evaluationId of limitedEvaluations) {
    if (ids.has(evaluationId)) continue;
    limitedEvaluations.delete(evaluationId);
    if (definitions.segments.has(evaluationId)) changes.push({ evaluationId, isLimited: false });
  }
  for (const evaluationId of ids) {
    if (limitedEvaluations.has(evaluationId)) continue;
    limitedEvaluations.add(evaluationId);
    changes.push({ evaluationId, isLimited: true });
  }
  return changes;
}

/**
 * The last published membership of a limited pending rule is the membership of the serving rule. So the switch
 * publishes nothing for the profile.
 */
function followPredecessor(
  { memberships }: ProfileState,
  { id, predecessorId }: SegmentDefinition,
): MembershipChange[] {
  if (predecessorId === undefined) return [];
  const [enteredMs, servingMs] = [memberships.get(id), memberships.get(predecessorId)];
  if ((enteredMs === undefined) === (servingMs === undefined)) return [];
  if (servingMs === undefined) memberships.delete(id);
  else memberships.set(id, servingMs);
  return [{ evaluationId: id, member: servingMs !== undefined, enteredMs: servingMs ?? enteredMs ?? 0 }];
}

/**
 * Merges two updates of one profile, one after the other. An entry and an exit cancel each other out; a profile
 * that is still a member keeps its time of entry.
 */
export function mergeUpdates(
  { memberships }: ProfileState,
  first: MembershipUpdate,
  second: MembershipUpdate,
): MembershipUpdate {
  const changes = new Map(first.changes.map((change) => [change.evaluationId, change]));
  for (const change of second.changes) {
    const { evaluationId } = change;
    const before = changes.get(evaluationId);
    if (before === undefined) changes.set(evaluationId, change);
    else changes.delete(evaluationId);
    if (before !== undefined && change.member) memberships.set(evaluationId, before.enteredMs);
  }
  const limits = new Map(first.limitChanges.map((change) => [change.evaluationId, change]));
  for (const change of second.limitChanges) {
    const { evaluationId } = change;
    if (limits.has(evaluationId)) limits.delete(evaluationId);
    else limits.set(evaluationId, change);
  }
  return {
    changes: [...changes.values()],
    limitChanges: [...limits.values()],
    nextDueMs: earlier(first.nextDueMs, second.nextDueMs),
  };
}

/** Applies due events and evaluates every segment, as a timer does. */
export function evaluateAll(state: ProfileState, definitions: Definitions, nowMs: number): MembershipUpdate {
  applyDueEvents(state, definitions, nowMs, new Set());
  return evaluateSegments(state, definitions, definitions.segments.values(), nowMs);
}

export function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined || a <= b ? a : b;
}
