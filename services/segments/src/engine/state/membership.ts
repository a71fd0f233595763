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

export interface MembershipUpdate {
  readonly changes: readonly MembershipChange[];
  /** The earliest instant at which an evaluated rule or a scheduled event may change a membership. */
  readonly nextDueMs: number | undefined;
}

/**
 * Evaluates these segments at `nowMs`, and the segments that refer to a segment whose result changes. Due
 * scheduled events must have been applied before.
 */
export function evaluateSegments(
  state: ProfileState,
  definitions: Definitions,
  segments: Iterable<SegmentDefinition>,
  nowMs: number,
): MembershipUpdate {
  const changes: MembershipChange[] = [];
  let nextDueMs = earlier(state.scheduledEvents[0]?.instant[0], state.rebuildDueMs);
  const context = new EvaluationContext(viewOf(state, definitions.ruleOf), nowMs);
  const pending = new Set(segments);
  // The loop also visits segments that are added to the set meanwhile.
  for (const { id, rule, predecessorId } of pending) {
    const { member, nextChangeAt } = evaluateAt(rule, context);
    nextDueMs = earlier(nextDueMs, nextChangeAt);
    const enteredMs = state.memberships.get(id);
    if (member === (enteredMs !== undefined)) continue;
    const sinceMs = (predecessorId && state.memberships.get(predecessorId)) ?? nowMs;
    changes.push({ evaluationId: id, member, enteredMs: enteredMs ?? sinceMs });
    if (member) state.memberships.set(id, sinceMs);
    else state.memberships.delete(id);
    for (const dependent of definitions.dependents(id)) pending.add(dependent);
  }
  return { changes, nextDueMs };
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
