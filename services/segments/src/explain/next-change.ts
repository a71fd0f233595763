// Computes when a profile's result changes without a further event, and why.
import type { Definitions } from "../engine/definitions.ts";
import { evaluate } from "../engine/evaluate.ts";
import { type ProfileState, settleFutures, viewOf } from "../engine/profile-state.ts";
import type { Leaf, Rule } from "../engine/rule.ts";
import type { ProfileView, Verdict } from "../engine/verdict.ts";
import { childVerdicts } from "./explained-node.ts";
import { leafInWords, matcherInWords } from "./words.ts";

export interface NextChange {
  readonly atMs: number;
  readonly because: string;
}

export interface Explained {
  readonly rule: Rule;
  readonly verdict: Verdict;
  /** Without due events. */
  readonly state: ProfileState;
  readonly definitions: Definitions;
}

/** Scheduled events count from their own instants on. */
export function nextChangeOf({ rule, verdict, state, definitions }: Explained): NextChange | undefined {
  const ahead = structuredClone(state);
  const view = viewOf(ahead, definitions.ruleOf);
  for (let atMs = verdict.nextChangeAt; ; ) {
    const next = ahead.futures[0];
    if (next === undefined || (atMs !== undefined && atMs < next.instant[0])) {
      if (atMs === undefined) return undefined;
      return { atMs, because: turnInWords(rule, verdict, evaluate(rule, view, atMs), view) };
    }
    const [dueMs] = next.instant;
    const names = next.matcherKeys.flatMap((key) => definitions.tracked(key)?.matcher ?? []);
    settleFutures(ahead, definitions, dueMs, new Set());
    const then = evaluate(rule, view, dueMs);
    if (then.member !== verdict.member) {
      const what = names.map(matcherInWords).join(", ");
      return { atMs: dueMs, because: `a scheduled event comes due: ${what}` };
    }
    atMs = then.nextChangeAt;
  }
}

/** Describes the first leaf whose result differs. */
function turnInWords(rule: Rule, now: Verdict, then: Verdict, view: ProfileView): string {
  const turned = turnedLeaf(rule, now, then, view);
  if (turned === undefined) return "time passes";
  const { leaf, holds } = turned;
  return `${causeInWords(leaf)}; then ${holds ? "this holds" : "this no longer holds"}: ${leafInWords(leaf)}`;
}

function turnedLeaf(
  rule: Rule,
  now: Verdict,
  then: Verdict,
  view: ProfileView,
): { readonly leaf: Leaf; readonly holds: boolean } | undefined {
  if (now.member === then.member) return undefined;
  const children = childVerdicts(rule, now.because, view);
  if (children.length === 0) return { leaf: rule as Leaf, holds: then.member };
  const after = childVerdicts(rule, then.because, view);
  for (const [index, child] of children.entries()) {
    const verdict = after[index]?.verdict;
    const turned = verdict && turnedLeaf(child.rule, child.verdict, verdict, view);
    if (turned !== undefined) return turned;
  }
  return undefined;
}

function causeInWords(leaf: Leaf): string {
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
