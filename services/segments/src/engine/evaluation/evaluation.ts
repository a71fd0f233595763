// Defines the result of evaluating a rule, and the evidence for it.
import type { EvaluationId } from "@muster/core";
import type { AnyFacts } from "../facts/any-facts.ts";
import type { EventInstant } from "../facts/count-facts.ts";
import type { ValueLog } from "../facts/value-facts.ts";
import type { Aggregate, EvaluatedRule } from "../rule/rule.ts";
import type { MovingWindow } from "../rule/window.ts";

export interface Evaluation {
  readonly member: boolean;
  /** When the result changes without a further event, to the millisecond. Undefined means never. */
  readonly nextChangeAt: number | undefined;
  /** False when a fact was truncated at its size limit. The result then reflects the kept part. */
  readonly isExact: boolean;
  readonly evidence: Evidence;
}

/** The observations that decided, by kind of node. */
export type Evidence =
  | {
      readonly kind: "all" | "any";
      /** One per child rule, in the same order. */
      readonly children: readonly Evaluation[];
    }
  | { readonly kind: "not"; readonly child: Evaluation }
  | PerformedEvidence
  | {
      readonly kind: "performed_then_not";
      readonly lastMs: number | undefined;
      readonly thenNotLastMs: number | undefined;
      /** The first A after the last B, from which `held_for` counts; undefined without `held_for`. */
      readonly since: EventInstant | undefined;
    }
  | {
      readonly kind: "sequence";
      /** The last completed chain that counts; otherwise the open chain with the most steps. */
      readonly chain: readonly EventInstant[];
      readonly steps: number;
    }
  | { readonly kind: "trait"; readonly holds: boolean }
  | {
      readonly kind: "in_segment";
      readonly segmentId: EvaluationId;
      readonly evaluation: Evaluation | undefined;
    }
  | {
      readonly kind: "inactive_for";
      readonly last: EventInstant | undefined;
      /** The start of the inactivity: the last event, otherwise the profile's creation. */
      readonly sinceMs: number | undefined;
    }
  | {
      readonly kind: "aggregate";
      /** Undefined when no number counts. */
      readonly value: number | undefined;
      readonly count: number;
    }
  | { readonly kind: "occurrence"; readonly instant: EventInstant | undefined }
  | {
      readonly kind: "active_days";
      /** The counted days, newest first, in days since 1970-01-01 in the rule's time zone. */
      readonly days: readonly number[];
    };

export interface PerformedEvidence {
  readonly kind: "performed";
  /** All matching events, or all in the fixed window. */
  readonly total: number;
  /** Matching events in the window. */
  readonly count: number;
  /** The window contains more events than `count`, but they do not affect the result. */
  readonly orMore: boolean;
  /** Newest first. The first `count` instants count, unless fewer are kept. */
  readonly newest: readonly EventInstant[];
  /** The event whose exit from the window changes the result; otherwise the newest event that counts. */
  readonly deciding: EventInstant | undefined;
}

/** Evaluates the aggregates of moving windows from what the evaluations before have computed. */
export interface WindowEvaluator {
  evaluate(leaf: Aggregate, window: MovingWindow, facts: ValueLog | undefined, nowMs: number): Evaluation;
}

/** The part of a profile that evaluation reads. */
export interface ProfileView {
  /** The facts of a spec by its key; undefined when the profile has no such event. */
  facts(key: string): AnyFacts | undefined;
  /** Whether a predicate on traits holds, by {@link traitKeyOf}. */
  trait(key: string): boolean;
  readonly createMs: number | undefined;
  /**
   * Set while time only moves forward from evaluation to evaluation. The `nextChangeAt` of an aggregate may then
   * be too early.
   */
  readonly windows?: WindowEvaluator;
  /** The rule of another segment; undefined when the segment does not exist. */
  ruleOf(segmentId: EvaluationId): EvaluatedRule | undefined;
}
