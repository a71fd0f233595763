// Finds the fewest steps that would make a profile a member.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MissingStepSchema } from "@muster/contracts/muster/segments/v1/segment_explain_pb";
import type { Evaluation, Evidence, ProfileView } from "../engine/evaluation/evaluation.ts";
import type { Matcher } from "../engine/rule/matcher.ts";
import type { Aggregate, EvaluatedRule, Leaf, Performed } from "../engine/rule/rule.ts";
import { describeLeaf, describeMatcher, formatInstant } from "./describe-rule.ts";
import { type ChildEvaluation, childEvaluations } from "./explained-node.ts";

type Step = MessageInitShape<typeof MissingStepSchema>;

/** Most steps of one response; longer lists are not returned. */
const STEPS_MAX = 100;

/** Empty for members, and when no future event can create a membership. */
export function missingSteps(rule: EvaluatedRule, evaluation: Evaluation, view: ProfileView): Step[] {
  return new StepFinder(view).stepsTo(true, { rule, evaluation }) ?? [];
}

/** Visits the rule and, once each, the rules of the segments that it refers to. */
class StepFinder {
  readonly #view: ProfileView;
  readonly #ofSegments = new Map<string, Step[] | undefined>();

  constructor(view: ProfileView) {
    this.#view = view;
  }

  /** Steps after which the node holds, or no longer holds; undefined when there are none. */
  stepsTo(wanted: boolean, { rule, evaluation }: ChildEvaluation): Step[] | undefined {
    if (evaluation.member === wanted) return [];
    const children = childEvaluations(rule, evaluation.evidence, this.#view);
    switch (rule.kind) {
      case "all":
        return wanted ? this.#everyOf(wanted, children) : this.#fewestOf(wanted, children);
      case "any":
        return wanted ? this.#fewestOf(wanted, children) : this.#everyOf(wanted, children);
      case "not":
        return children[0] && this.stepsTo(!wanted, children[0]);
      case "in_segment":
        return this.#stepsOfSegment(wanted, rule.segmentId, children[0]);
      default:
        return leafSteps(wanted, rule, evaluation);
    }
  }

  #stepsOfSegment(wanted: boolean, id: string, child: ChildEvaluation | undefined): Step[] | undefined {
    const key = `${wanted} ${id}`;
    if (!this.#ofSegments.has(key)) this.#ofSegments.set(key, child && this.stepsTo(wanted, child));
    return this.#ofSegments.get(key);
  }

  #everyOf(wanted: boolean, children: readonly ChildEvaluation[]): Step[] | undefined {
    const steps: Step[] = [];
    for (const child of children) {
      const own = this.stepsTo(wanted, child);
      if (own === undefined || steps.length + own.length > STEPS_MAX) return undefined;
      steps.push(...own);
    }
    return steps;
  }

  #fewestOf(wanted: boolean, children: readonly ChildEvaluation[]): Step[] | undefined {
    let fewest: Step[] | undefined;
    for (const child of children) {
      const own = this.stepsTo(wanted, child);
      if (own !== undefined && (fewest === undefined || sizeOf(own) < sizeOf(fewest))) fewest = own;
    }
    return fewest;
  }
}

/** Number of events in the steps; a step without events counts as one. */
function sizeOf(steps: readonly Step[]): number {
  return steps.reduce((sum, { count }) => sum + Number(count ?? 1), 0);
}

function leafSteps(wanted: boolean, leaf: Leaf<string>, evaluation: Evaluation): Step[] | undefined {
  const byEvents = wanted ? stepsToHold(leaf, evaluation.evidence) : stepsToEnd(leaf, evaluation.evidence);
  if (byEvents !== undefined) return byEvents;
  if (evaluation.nextChangeAt === undefined) return undefined;
  const text = `without an event at ${formatInstant(evaluation.nextChangeAt)}: ${describeLeaf(leaf)}`;
  const at = timestampFromMs(evaluation.nextChangeAt);
  return [{ kind: leaf.kind, text: wanted ? text : `${text}, no longer`, at }];
}

function stepsToHold(leaf: Leaf<string>, evidence: Evidence): Step[] | undefined {
  switch (leaf.kind) {
    case "performed":
      return evidence.kind === "performed" ? countSteps(leaf, evidence.count, true) : undefined;
    case "performed_then_not":
      // The event has happened; only time is missing.
      if (evidence.kind === "performed_then_not" && evidence.since !== undefined) return undefined;
      return [eventStep(leaf, leaf.matcher, 1, `, and no ${describeMatcher(leaf.thenNot)} since`)];
    case "sequence": {
      const done = evidence.kind === "sequence" ? evidence.chain.length : 0;
      // A complete chain outside its window starts again.
      const left = leaf.steps.slice(done % leaf.steps.length);
      return left.map((step) => eventStep(leaf, step, 1, ""));
    }
    case "trait":
      return [{ kind: "trait", text: describeLeaf(leaf), where: leaf.where.source }];
    case "aggregate":
      return evidence.kind === "aggregate" ? aggregateSteps(leaf, evidence.value) : undefined;
    case "occurrence":
      if (leaf.which === "first" && evidence.kind === "occurrence" && evidence.instant !== undefined)
        return undefined;
      return leaf.when.kind === "before" ? undefined : [eventStep(leaf, leaf.matcher, 1, "")];
    case "active_days": {
      const days = evidence.kind === "active_days" ? evidence.days.length : 0;
      return [eventStep(leaf, leaf.matcher, leaf.atLeast - days, ", each on another day")];
    }
    case "inactive_for":
    case "in_segment":
      return undefined;
  }
}

function stepsToEnd(leaf: Leaf<string>, evidence: Evidence): Step[] | undefined {
  switch (leaf.kind) {
    case "performed":
      return evidence.kind === "performed" ? countSteps(leaf, evidence.count, false) : undefined;
    case "performed_then_not":
      return [eventStep(leaf, leaf.thenNot, 1, "")];
    case "inactive_for":
      return [{ kind: leaf.kind, text: "any event", count: 1n }];
    case "trait":
      return [
        { kind: "trait", text: `traits that no longer match ${leaf.where.source}`, where: leaf.where.source },
      ];
    default:
      return undefined;
  }
}

/** Events that raise the count to the next threshold; undefined when only fewer events would help. */
function countSteps(leaf: Performed, count: number, wanted: boolean): Step[] | undefined {
  const { kind, n } = leaf.count;
  // The counts at which the result changes; `exactly` has two.
  const thresholds =
    kind === "at_least" || kind === "less_than" ? [n] : kind === "exactly" ? [n, n + 1] : [n + 1];
  const threshold = thresholds.find((at) => at > count);
  if (threshold === undefined) return undefined;
  const startsToHold = kind === "at_least" || kind === "more_than" || (kind === "exactly" && threshold === n);
  return startsToHold === wanted ? [eventStep(leaf, leaf.matcher, threshold - count, "")] : undefined;
}

function aggregateSteps(leaf: Aggregate, value: number | undefined): Step[] | undefined {
  const { kind, value: wanted } = leaf.comparison;
  const isRising = kind === "at_least" || kind === "more_than" || kind === "exactly";
  const difference = leaf.function === "sum" ? wanted - (value ?? 0) : undefined;
  if (difference !== undefined && (difference < 0 || !isRising)) return undefined;
  const amountText = difference === undefined ? "" : `: ${difference} is missing`;
  return [
    {
      kind: leaf.kind,
      text: `${describeLeaf(leaf)}${amountText}`,
      ...eventOf(leaf.matcher),
    },
  ];
}

function eventStep(leaf: Leaf<string>, matcher: Matcher, count: number, rest: string): Step {
  return {
    kind: leaf.kind,
    text: `${count} more ${describeMatcher(matcher)}${rest}`,
    ...eventOf(matcher),
    count: BigInt(count),
  };
}

function eventOf({ eventName, where }: Matcher): Pick<Step, "eventName" | "where"> {
  return {
    ...(eventName !== undefined && { eventName }),
    ...(where !== undefined && { where: where.source }),
  };
}
