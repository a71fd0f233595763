// Determines why and when a membership changed. Pure.
import type { EvaluationId } from "@muster/core";
import type { SegmentDefinition } from "../engine/state/definitions.ts";
import type { MembershipChange } from "../engine/state/membership.ts";
import type { RebuildReason } from "../profiles/rebuild-reason.ts";

export type MembershipChangeOrigin =
  | "live"
  | "timer"
  | "backfill"
  | "edit"
  | "late"
  | "rebuild"
  | "merge"
  | "erase";

export interface Cause {
  readonly origin: MembershipChangeOrigin;
  /**
   * When the change happened, in milliseconds. If the origin corrects an earlier state, when the change was
   * observed.
   */
  readonly instantMs: number;
  /** The event id in the engine's form. */
  readonly eventId: string | undefined;
}

/** An event, or a change of a profile, that is being applied. */
export interface CausingEvent {
  /** Without an id for a change of the profile itself. */
  readonly instant: readonly [ms: number, eventId: string | undefined];
  readonly receivedMs: number;
}

/** The delay after which an event is late, as from an import or from a device that was offline. */
const LATE_MS = 60_000;

/** The segments that a batch affects, and for each the last event that affected it. */
export class ChangedSegments extends Set<SegmentDefinition> {
  /** The event that is being applied; undefined while only time passes. */
  event: CausingEvent | undefined;
  readonly #causes = new Map<EvaluationId, CausingEvent | undefined>();

  override add(segment: SegmentDefinition): this {
    this.#causes.set(segment.id, this.event);
    return super.add(segment);
  }

  /** Returns the cause of a change in this batch. `dueMs` is when the profile was due, if it was. */
  causeOf({ evaluationId }: MembershipChange, dueMs: number | undefined, nowMs: number): Cause {
    // A change of an unaffected segment follows from another segment, and so from the last event.
    const event = this.#causes.has(evaluationId) ? this.#causes.get(evaluationId) : this.event;
    if (event === undefined) {
      return { origin: "timer", instantMs: Math.min(dueMs ?? nowMs, nowMs), eventId: undefined };
    }
    const [ms, eventId] = event.instant;
    if (event.receivedMs - ms > LATE_MS) return { origin: "late", instantMs: nowMs, eventId };
    return { origin: "live", instantMs: ms, eventId };
  }
}

/** The result of a rule at an instant, based on the current facts. */
export type ResultAt = (ms: number) => {
  readonly member: boolean;
  readonly nextChangeAt: number | undefined;
};

/**
 * Returns the cause of a change that a timer found. The profile was due at `dueMs`, perhaps for another
 * reason.
 */
export function timerCause(
  { member }: MembershipChange,
  resultAt: ResultAt | undefined,
  dueMs: number | undefined,
  nowMs: number,
): Cause {
  const instantMs =
    resultAt === undefined || dueMs === undefined
      ? nowMs
      : instantOfChange(resultAt, member, Math.min(dueMs, nowMs), nowMs);
  return { origin: "timer", instantMs, eventId: undefined };
}

/** Returns the cause of a change that a rebuild found. The time of the change is unknown. */
export function rebuildCause(
  { evaluationId }: MembershipChange,
  backfilled: ReadonlySet<EvaluationId>,
  reason: RebuildReason,
  nowMs: number,
): Cause {
  const origin = backfilled.has(evaluationId) ? "backfill" : originOf[reason];
  return { origin, instantMs: nowMs, eventId: undefined };
}

const originOf: Readonly<Record<RebuildReason, MembershipChangeOrigin>> = {
  stale: "rebuild",
  identity_changed: "merge",
  merged: "merge",
  erased: "erase",
};

/** Between two timer visits, a rule changes its result only a few times without an event. */
const STEPS_MAX = 100;

/** Returns the first instant from which on the result has stayed the same until `toMs`. */
function instantOfChange(resultAt: ResultAt, member: boolean, fromMs: number, toMs: number): number {
  let sinceMs: number | undefined;
  let atMs = fromMs;
  for (let step = 0; step < STEPS_MAX && atMs <= toMs; step += 1) {
    const result = resultAt(atMs);
    if (result.member !== member) sinceMs = undefined;
    else sinceMs ??= atMs;
    if (result.nextChangeAt === undefined) break;
    atMs = result.nextChangeAt;
  }
  return sinceMs ?? toMs;
}
