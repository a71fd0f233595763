// Why a membership changed, and when that happened. Pure.
import type { SegmentId } from "@muster/core";
import type { DerivationReason } from "../backfills/derivation-reason.ts";
import type { SegmentDefinition } from "../engine/definitions.ts";
import type { MembershipChange } from "../engine/membership.ts";

export type ChangeOrigin = "live" | "timer" | "backfill" | "edit" | "late" | "derivation" | "merge" | "erase";

export interface Cause {
  readonly origin: ChangeOrigin;
  /** When it happened; where the origin corrects what was believed, when that was seen. */
  readonly instantMs: number;
  /** As the engine names it. */
  readonly eventId: string | undefined;
}

/** An event, or a profile's change, that is being folded. */
export interface CausingEvent {
  /** Without an id where it is the profile itself that changed. */
  readonly instant: readonly [ms: number, eventId: string | undefined];
  readonly receivedMs: number;
}

/** What comes in so long after it happened was not seen live: from an import, or a device that was offline. */
const LATE_MS = 60_000;

/** The segments that a fold touches, and which event touched each last. */
export class TouchedSegments extends Set<SegmentDefinition> {
  /** The event now being counted; undefined while only time passes. */
  event: CausingEvent | undefined;
  readonly #causes = new Map<SegmentId, CausingEvent | undefined>();

  override add(segment: SegmentDefinition): this {
    this.#causes.set(segment.id, this.event);
    return super.add(segment);
  }

  /** Of a change that this fold brought. `dueMs` is when the profile was due, if it was. */
  causeOf({ segmentId }: MembershipChange, dueMs: number | undefined, nowMs: number): Cause {
    // One that was not touched follows from another segment, and so from the last event.
    const event = this.#causes.has(segmentId) ? this.#causes.get(segmentId) : this.event;
    if (event === undefined) {
      return { origin: "timer", instantMs: Math.min(dueMs ?? nowMs, nowMs), eventId: undefined };
    }
    const [ms, eventId] = event.instant;
    if (event.receivedMs - ms > LATE_MS) return { origin: "late", instantMs: nowMs, eventId };
    return { origin: "live", instantMs: ms, eventId };
  }
}

/** A rule's answer at an instant, by the facts as they are. */
export type AnswerAt = (ms: number) => {
  readonly member: boolean;
  readonly nextChangeAt: number | undefined;
};

/** Of a change that a visit by the clock found. The profile was due at `dueMs`, perhaps for something else. */
export function timerCause(
  { member }: MembershipChange,
  answerAt: AnswerAt | undefined,
  dueMs: number | undefined,
  nowMs: number,
): Cause {
  const instantMs =
    answerAt === undefined || dueMs === undefined
      ? nowMs
      : instantOfChange(answerAt, member, Math.min(dueMs, nowMs), nowMs);
  return { origin: "timer", instantMs, eventId: undefined };
}

/** What was read again was not believed before: nothing says when it happened. */
export function derivedCause(
  { segmentId }: MembershipChange,
  backfilled: ReadonlySet<SegmentId>,
  reason: DerivationReason,
  nowMs: number,
): Cause {
  const origin = backfilled.has(segmentId) ? "backfill" : originOf[reason];
  return { origin, instantMs: nowMs, eventId: undefined };
}

const originOf: Readonly<Record<DerivationReason, ChangeOrigin>> = {
  doubt: "derivation",
  merge: "merge",
  merged: "merge",
  erased: "erase",
};

/** A rule changes its answer by itself a few times at most between two visits. */
const STEPS_MAX = 100;

/** From when on, between two instants, the answer has been what it is at the second. */
function instantOfChange(answerAt: AnswerAt, member: boolean, fromMs: number, toMs: number): number {
  let sinceMs: number | undefined;
  let atMs = fromMs;
  for (let step = 0; step < STEPS_MAX && atMs <= toMs; step += 1) {
    const answer = answerAt(atMs);
    if (answer.member !== member) sinceMs = undefined;
    else sinceMs ??= atMs;
    if (answer.nextChangeAt === undefined) break;
    atMs = answer.nextChangeAt;
  }
  return sinceMs ?? toMs;
}
