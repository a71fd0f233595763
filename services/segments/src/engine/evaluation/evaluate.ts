// Evaluates a rule over facts at an instant. Pure: no clock, no database. The same function serves
// memberships, timers, preview, explain and backtests.
import type { EvaluationId } from "@muster/core";
import { type EvaluatedRule, segmentsIn } from "../rule/rule.ts";
import { evaluateLeaf } from "./evaluate-leaf.ts";
import type { Evaluation, ProfileView } from "./evaluation.ts";

/**
 * Leaf changes that are tried to find when a combined rule changes. Later changes are found once that instant
 * comes.
 */
const LOOK_AHEAD_MAX = 64;

/**
 * A profile at one instant. The view's facts must hold exactly the events with an instant <= nowMs. A segment
 * that several rules refer to is evaluated once.
 */
export class EvaluationContext {
  readonly view: ProfileView;
  readonly nowMs: number;
  #segments: Map<EvaluationId, Evaluation | undefined> | undefined;
  #later: Map<number, EvaluationContext> | undefined;

  constructor(view: ProfileView, nowMs: number) {
    this.view = view;
    this.nowMs = nowMs;
  }

  /** The same facts at a later instant. Contexts are cached by instant, and so are their evaluations. */
  at(ms: number): EvaluationContext {
    this.#later ??= new Map();
    let context = this.#later.get(ms);
    if (context === undefined) {
      context = new EvaluationContext(this.view, ms);
      this.#later.set(ms, context);
    }
    return context;
  }

  /** Undefined for an unknown segment, and for a segment that refers to itself, which saving rejects. */
  evaluationOf(segmentId: EvaluationId): Evaluation | undefined {
    this.#segments ??= new Map();
    // Uses a loop instead of recursion, because segments may refer to one another in a chain of any length.
    const path = [segmentId];
    for (let id = path.at(-1); id !== undefined && !this.#segments.has(segmentId); id = path.at(-1)) {
      const rule = this.view.ruleOf(id);
      const named = rule === undefined ? [] : segmentsIn(rule);
      const missing = named.find((other) => !this.#segments?.has(other) && !path.includes(other));
      if (missing !== undefined) {
        path.push(missing);
        continue;
      }
      // A reference back to this segment is undefined while the segment is being evaluated.
      this.#segments.set(id, undefined);
      if (rule !== undefined) this.#segments.set(id, evaluateNode(rule, this));
      path.pop();
    }
    return this.#segments.get(segmentId);
  }
}

/** The facts must hold exactly the events with an instant <= nowMs. */
export function evaluate(rule: EvaluatedRule, view: ProfileView, nowMs: number): Evaluation {
  return evaluateAt(rule, new EvaluationContext(view, nowMs));
}

/**
 * Like {@link evaluate}, for a replay: `nextChangeAt` may be too early, but is never too late. The view may have
 * `windows`.
 */
export function evaluateForward(rule: EvaluatedRule, view: ProfileView, nowMs: number): Evaluation {
  return evaluateNode(rule, new EvaluationContext(view, nowMs));
}

/** Like {@link evaluate}, for several rules of one profile at one instant. */
export function evaluateAt(rule: EvaluatedRule, context: EvaluationContext): Evaluation {
  const evaluation = evaluateNode(rule, context);
  if (evaluation.nextChangeAt === undefined || !isCombined(rule)) return evaluation;
  return { ...evaluation, nextChangeAt: firstChange(rule, context, evaluation) };
}

/**
 * Leaves know exactly when they change. A leaf's change need not change the whole rule, so each candidate
 * instant is evaluated.
 */
function firstChange(
  rule: EvaluatedRule,
  context: EvaluationContext,
  evaluation: Evaluation,
): number | undefined {
  let atMs = evaluation.nextChangeAt;
  for (let changes = 0; changes < LOOK_AHEAD_MAX && atMs !== undefined; changes += 1) {
    const then = evaluateNode(rule, context.at(atMs));
    if (then.member !== evaluation.member) return atMs;
    atMs = then.nextChangeAt;
  }
  return atMs;
}

function isCombined({ kind }: EvaluatedRule): boolean {
  return kind === "all" || kind === "any" || kind === "not" || kind === "in_segment";
}

/** `nextChangeAt` is exact for leaves; for combined rules it is never too late. */
function evaluateNode(rule: EvaluatedRule, context: EvaluationContext): Evaluation {
  switch (rule.kind) {
    case "all":
    case "any":
      return combine(
        rule.kind,
        rule.rules.map((one) => evaluateNode(one, context)),
      );
    case "not": {
      const child = evaluateNode(rule.rule, context);
      return { ...child, member: !child.member, evidence: { kind: "not", child } };
    }
    case "in_segment": {
      const evaluation = context.evaluationOf(rule.segmentId);
      return {
        member: evaluation?.member ?? false,
        nextChangeAt: evaluation?.nextChangeAt,
        isExact: evaluation?.isExact ?? true,
        evidence: { kind: "in_segment", segmentId: rule.segmentId, evaluation },
      };
    }
    default:
      return evaluateLeaf(rule, context.view, context.nowMs);
  }
}

function combine(kind: "all" | "any", children: readonly Evaluation[]): Evaluation {
  const member =
    kind === "all" ? children.every((child) => child.member) : children.some((child) => child.member);
  const isUnanimous = member === (kind === "all");
  // The children whose result equals the rule's result. If all children had to agree, the first change of a
  // child can change the result. If one child was enough, all of them must change, so the last change
  // decides.
  const decisive = children.filter((child) => child.member === member);
  const changes = decisive.map(({ nextChangeAt }) => nextChangeAt ?? Number.POSITIVE_INFINITY);
  const atMs = isUnanimous ? Math.min(...changes) : Math.max(...changes);
  return {
    member,
    nextChangeAt: Number.isFinite(atMs) ? atMs : undefined,
    isExact: isUnanimous ? children.every(({ isExact }) => isExact) : decisive.some(({ isExact }) => isExact),
    evidence: { kind, children },
  };
}
