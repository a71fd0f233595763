// Computes when a profile's result changes without a further event, and why.
import { evaluate } from "../engine/evaluation/evaluate.ts";
import type { Evaluation, ProfileView } from "../engine/evaluation/evaluation.ts";
import type { EvaluatedRule, Leaf } from "../engine/rule/rule.ts";
import { applyDueEvents } from "../engine/state/apply-events.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { type ProfileState, viewOf } from "../engine/state/profile-state.ts";
import { describeLeaf, describeMatcher } from "./describe-rule.ts";
import { childEvaluations } from "./explained-node.ts";

export interface NextChange {
  readonly atMs: number;
  readonly reason: string;
}

export interface Explained {
  readonly rule: EvaluatedRule;
  readonly evaluation: Evaluation;
  /** Without due events. */
  readonly state: ProfileState;
  readonly definitions: Definitions;
}

/** Scheduled events count from their own instants on. */
export function nextChangeOf({ rule, evaluation, state, definitions }: Explained): NextChange | undefined {
  const futureState = structuredClone(state);
  const view = viewOf(futureState, definitions.ruleOf);
  for (let atMs = evaluation.nextChangeAt; ; ) {
    const next = futureState.scheduledEvents[0];
    if (next === undefined || (atMs !== undefined && atMs < next.instant[0])) {
      if (atMs === undefined) return undefined;
      return { atMs, reason: describeChange(rule, evaluation, evaluate(rule, view, atMs), view) };
    }
    const [dueMs] = next.instant;
    const names = next.matcherKeys.flatMap((key) => definitions.tracked(key)?.matcher ?? []);
    applyDueEvents(futureState, definitions, dueMs, new Set());
    const then = evaluate(rule, view, dueMs);
    if (then.member !== evaluation.member) {
      const what = names.map(describeMatcher).join(", ");
      return { atMs: dueMs, reason: `a scheduled event comes due: ${what}` };
    }
    atMs = then.nextChangeAt;
  }
}

/** Describes the first leaf whose result differs. */
function describeChange(rule: EvaluatedRule, now: Evaluation, then: Evaluation, view: ProfileView): string {
  const changed = changedLeaf(rule, now, then, view);
  if (changed === undefined) return "time passes";
  const { leaf, holds } = changed;
  return `${describeCause(leaf)}; then ${holds ? "this holds" : "this no longer holds"}: ${describeLeaf(leaf)}`;
}

function changedLeaf(
  rule: EvaluatedRule,
  now: Evaluation,
  then: Evaluation,
  view: ProfileView,
): { readonly leaf: Leaf<string>; readonly holds: boolean } | undefined {
  if (now.member === then.member) return undefined;
  const children = childEvaluations(rule, now.evidence, view);
  if (children.length === 0) return { leaf: rule as Leaf<string>, holds: then.member };
  const after = childEvaluations(rule, then.evidence, view);
  for (const [index, child] of children.entries()) {
    const evaluation = after[index]?.evaluation;
    const changed = evaluation && changedLeaf(child.rule, child.evaluation, evaluation, view);
    if (changed !== undefined) return changed;
  }
  return undefined;
}

function describeCause(leaf: Leaf<string>): string {
  switch (leaf.kind) {
    case "performed_then_not":
      return "the required time has passed";
    case "inactive_for":
      return "no event has happened for the required time";
    case "active_days":
      return "a day leaves the window";
    default:
      return "an event leaves the window";
  }
}
