// Brings a profile's memberships in step with its facts, and says when that could change by itself.
import type { SegmentId } from "@muster/core";
import type { Definitions, SegmentDefinition } from "./definitions.ts";
import { evaluateAt, Moment } from "./evaluate.ts";
import { type ProfileState, settleFutures, viewOf } from "./profile-state.ts";

export interface MembershipChange {
  readonly segmentId: SegmentId;
  readonly member: boolean;
  /** When it entered: now, or for one that has left when it once did. */
  readonly enteredMs: number;
}

export interface Evaluation {
  readonly changes: readonly MembershipChange[];
  /** The earliest instant at which anything evaluated, or any future event, could change an answer. */
  readonly nextDueMs: number | undefined;
}

/**
 * Evaluates these segments at `nowMs`, and those that refer to one whose answer turns. The state's due
 * future events have been settled.
 */
export function evaluateSegments(
  state: ProfileState,
  definitions: Definitions,
  segments: Iterable<SegmentDefinition>,
  nowMs: number,
): Evaluation {
  const changes: MembershipChange[] = [];
  let nextDueMs = earlier(state.futures[0]?.instant[0], state.droppedMs);
  const moment = new Moment(viewOf(state, definitions.ruleOf), nowMs);
  const asked = new Set(segments);
  // What is added meanwhile is met too.
  for (const { id, rule, succeeds } of asked) {
    const { member, nextChangeAt } = evaluateAt(rule, moment);
    nextDueMs = earlier(nextDueMs, nextChangeAt);
    const enteredMs = state.memberships.get(id);
    if (member === (enteredMs !== undefined)) continue;
    const sinceMs = (succeeds && state.memberships.get(succeeds)) ?? nowMs;
    changes.push({ segmentId: id, member, enteredMs: enteredMs ?? sinceMs });
    if (member) state.memberships.set(id, sinceMs);
    else state.memberships.delete(id);
    for (const dependant of definitions.dependants(id)) asked.add(dependant);
  }
  return { changes, nextDueMs };
}

/** A timer's visit: settles what has come due and evaluates every segment anew. */
export function evaluateAll(state: ProfileState, definitions: Definitions, nowMs: number): Evaluation {
  settleFutures(state, definitions, nowMs, new Set());
  return evaluateSegments(state, definitions, definitions.segments.values(), nowMs);
}

export function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined || a <= b ? a : b;
}
