// Evaluates a rule over facts at an instant. Pure: no clock, no database. The same function serves
// memberships, timers, preview, explain and backtests.
import type { SegmentId } from "@muster/core";
import { evaluateLeaf } from "./evaluate-leaf.ts";
import { type Rule, segmentsIn } from "./rule.ts";
import type { ProfileView, Verdict } from "./verdict.ts";

/**
 * Leaf changes that are tried to find when a combined rule changes. Later changes are found once that instant
 * comes.
 */
const LOOK_AHEAD_MAX = 64;

/**
 * A profile at one instant. The view's facts must hold exactly the events with an instant <= nowMs. A segment
 * that several rules refer to is evaluated once.
 */
export class Moment {
  readonly view: ProfileView;
  readonly nowMs: number;
  #segments: Map<SegmentId, Verdict | undefined> | undefined;
  #later: Map<number, Moment> | undefined;

  constructor(view: ProfileView, nowMs: number) {
    this.view = view;
    this.nowMs = nowMs;
  }

  /** The same facts at a later instant. Contexts are cached by instant, and so are their evaluations. */
  at(ms: number): Moment {
    this.#later ??= new Map();
    let moment = this.#later.get(ms);
    if (moment === undefined) {
      moment = new Moment(this.view, ms);
      this.#later.set(ms, moment);
    }
    return moment;
  }

  /** Undefined for an unknown segment, and for a segment that refers to itself, which saving rejects. */
  verdictOf(segmentId: SegmentId): Verdict | undefined {
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
export function evaluate(rule: Rule, view: ProfileView, nowMs: number): Verdict {
  return evaluateAt(rule, new Moment(view, nowMs));
}

/** Like {@link evaluate}, for several rules of one profile at one instant. */
export function evaluateAt(rule: Rule, moment: Moment): Verdict {
  const verdict = evaluateNode(rule, moment);
  if (verdict.nextChangeAt === undefined || !isCombined(rule)) return verdict;
  return { ...verdict, nextChangeAt: firstChange(rule, moment, verdict) };
}

/**
 * Leaves know exactly when they change. A leaf's change need not change the whole rule, so each candidate
 * instant is evaluated.
 */
function firstChange(rule: Rule, moment: Moment, verdict: Verdict): number | undefined {
  let atMs = verdict.nextChangeAt;
  for (let turns = 0; turns < LOOK_AHEAD_MAX && atMs !== undefined; turns += 1) {
    const then = evaluateNode(rule, moment.at(atMs));
    if (then.member !== verdict.member) return atMs;
    atMs = then.nextChangeAt;
  }
  return atMs;
}

function isCombined({ kind }: Rule): boolean {
  return kind === "all" || kind === "any" || kind === "not" || kind === "in_segment";
}

/** `nextChangeAt` is exact for leaves; for combined rules it is never too late. */
function evaluateNode(rule: Rule, moment: Moment): Verdict {
  switch (rule.kind) {
    case "all":
    case "any":
      return combine(
        rule.kind,
        rule.rules.map((one) => evaluateNode(one, moment)),
      );
    case "not": {
      const child = evaluateNode(rule.rule, moment);
      return { ...child, member: !child.member, because: { kind: "not", child } };
    }
    case "in_segment": {
      const verdict = moment.verdictOf(rule.segmentId);
      return {
        member: verdict?.member ?? false,
        nextChangeAt: verdict?.nextChangeAt,
        isExact: verdict?.isExact ?? true,
        because: { kind: "in_segment", segmentId: rule.segmentId, verdict },
      };
    }
    default:
      return evaluateLeaf(rule, moment.view, moment.nowMs);
  }
}

function combine(kind: "all" | "any", children: readonly Verdict[]): Verdict {
  const member =
    kind === "all" ? children.every((child) => child.member) : children.some((child) => child.member);
  const isUnanimous = member === (kind === "all");
  // The children whose result equals the rule's result. If all children had to agree, the first change of a
  // child can change the result. If one child was enough, all of them must change, so the last change
  // decides.
  const holding = children.filter((child) => child.member === member);
  const turns = holding.map(({ nextChangeAt }) => nextChangeAt ?? Number.POSITIVE_INFINITY);
  const atMs = isUnanimous ? Math.min(...turns) : Math.max(...turns);
  return {
    member,
    nextChangeAt: Number.isFinite(atMs) ? atMs : undefined,
    isExact: isUnanimous ? children.every(({ isExact }) => isExact) : holding.some(({ isExact }) => isExact),
    because: { kind, children },
  };
}
