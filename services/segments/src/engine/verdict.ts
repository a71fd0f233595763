// What evaluating a rule gives, and what explains it.
import type { SegmentId } from "@muster/core";
import type { AnyFacts } from "./any-facts.ts";
import type { Instant } from "./facts.ts";
import type { Rule } from "./rule.ts";

export interface Verdict {
  readonly member: boolean;
  /** When the answer changes by itself, with no further event, to the millisecond. Undefined means never. */
  readonly nextChangeAt: number | undefined;
  /** False where a fact that it rests on was cut at its cap: then it is the answer of what was kept. */
  readonly isExact: boolean;
  readonly because: Because;
}

/** What was observed that decided, by the kind of the rule's node. */
export type Because =
  | {
      readonly kind: "all" | "any";
      /** One for each rule, in their order. */
      readonly children: readonly Verdict[];
    }
  | { readonly kind: "not"; readonly child: Verdict }
  | PerformedBecause
  | {
      readonly kind: "performed_then_not";
      readonly lastMs: number | undefined;
      readonly thenNotLastMs: number | undefined;
      /** The first A after the last B: what it is counted from; of `held for` alone. */
      readonly since: Instant | undefined;
    }
  | {
      readonly kind: "sequence";
      /** The chain that completed last, where one counts; else the newest one that got furthest. */
      readonly chain: readonly Instant[];
      readonly steps: number;
    }
  | { readonly kind: "trait"; readonly holds: boolean }
  | { readonly kind: "in_segment"; readonly segmentId: SegmentId; readonly verdict: Verdict | undefined }
  | {
      readonly kind: "inactive_for";
      readonly last: Instant | undefined;
      /** What the time is counted from: the last event, else the creation. */
      readonly sinceMs: number | undefined;
    }
  | {
      readonly kind: "aggregate";
      /** Undefined where no number counts. */
      readonly value: number | undefined;
      readonly count: number;
    }
  | { readonly kind: "occurrence"; readonly instant: Instant | undefined }
  | {
      readonly kind: "active_days";
      /** Those that count, newest first: days since 1970-01-01 in the rule's time zone. */
      readonly days: readonly number[];
    };

export interface PerformedBecause {
  readonly kind: "performed";
  /** Ever, or in a window of fixed bounds. */
  readonly total: number;
  /** In the window. */
  readonly count: number;
  /** There are more in the window than `count`, but they make no difference. */
  readonly orMore: boolean;
  /** Newest first; the first `count` of them count, as far as they are kept. */
  readonly newest: readonly Instant[];
  /** The event whose leaving the window would turn the answer, or failing that the newest that counts. */
  readonly deciding: Instant | undefined;
}

/** What evaluation reads of one profile. */
export interface ProfileView {
  /** The facts of a specification by its key; undefined when the profile has no such event. */
  facts(key: string): AnyFacts | undefined;
  /** Whether a predicate on traits holds, by {@link traitKeyOf}. */
  trait(key: string): boolean;
  readonly createMs: number | undefined;
  /** The rule of another segment; undefined when there is none. */
  ruleOf(segmentId: SegmentId): Rule | undefined;
}
