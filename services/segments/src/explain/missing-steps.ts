// Finds the fewest steps that would make a profile a member.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MissingStepSchema } from "@muster/contracts/muster/segments/v1/segment_explain_pb";
import type { Matcher } from "../engine/matcher.ts";
import type { Aggregate, Leaf, Performed, Rule } from "../engine/rule.ts";
import type { Because, ProfileView, Verdict } from "../engine/verdict.ts";
import { type ChildVerdict, childVerdicts } from "./explained-node.ts";
import { instantInWords, leafInWords, matcherInWords } from "./words.ts";

type Step = MessageInitShape<typeof MissingStepSchema>;

/** Most steps of one response; longer lists are not returned. */
const STEPS_MAX = 100;

/** Empty for members, and when no future event can create a membership. */
export function missingSteps(rule: Rule, verdict: Verdict, view: ProfileView): Step[] {
  return new StepFinder(view).stepsTo(true, { rule, verdict }) ?? [];
}

/** Visits the rule and, once each, the rules of the segments that it refers to. */
class StepFinder {
  readonly #view: ProfileView;
  readonly #ofSegments = new Map<string, Step[] | undefined>();

  constructor(view: ProfileView) {
    this.#view = view;
  }

  /** Steps after which the node holds, or no longer holds; undefined when there are none. */
  stepsTo(wanted: boolean, { rule, verdict }: ChildVerdict): Step[] | undefined {
    if (verdict.member === wanted) return [];
    const children = childVerdicts(rule, verdict.because, this.#view);
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
        return leafSteps(wanted, rule, verdict);
    }
  }

  #stepsOfSegment(wanted: boolean, id: string, child: ChildVerdict | undefined): Step[] | undefined {
    const key = `${wanted} ${id}`;
    if (!this.#ofSegments.has(key)) this.#ofSegments.set(key, child && this.stepsTo(wanted, child));
    return this.#ofSegments.get(key);
  }

  #everyOf(wanted: boolean, children: readonly ChildVerdict[]): Step[] | undefined {
    const steps: Step[] = [];
    for (const child of children) {
      const own = this.stepsTo(wanted, child);
      if (own === undefined || steps.length + own.length > STEPS_MAX) return undefined;
      steps.push(...own);
    }
    return steps;
  }

  #fewestOf(wanted: boolean, children: readonly ChildVerdict[]): Step[] | undefined {
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

function leafSteps(wanted: boolean, leaf: Leaf, verdict: Verdict): Step[] | undefined {
  const byEvents = wanted ? stepsToHold(leaf, verdict.because) : stepsToEnd(leaf, verdict.because);
  if (byEvents !== undefined) return byEvents;
  if (verdict.nextChangeAt === undefined) return undefined;
  const text = `without an event at ${instantInWords(verdict.nextChangeAt)}: ${leafInWords(leaf)}`;
  const at = timestampFromMs(verdict.nextChangeAt);
  return [{ kind: leaf.kind, text: wanted ? text : `${text}, no longer`, at }];
}

function stepsToHold(leaf: Leaf, because: Because): Step[] | undefined {
  switch (leaf.kind) {
    case "performed":
      return because.kind === "performed" ? countSteps(leaf, because.count, true) : undefined;
    case "performed_then_not":
      // The event has happened; only time is missing.
      if (because.kind === "performed_then_not" && because.since !== undefined) return undefined;
      return [more(leaf, leaf.matcher, 1, `, and no ${matcherInWords(leaf.thenNot)} since`)];
    case "sequence": {
      const done = because.kind === "sequence" ? because.chain.length : 0;
      // A complete chain outside its window starts again.
      const left = leaf.steps.slice(done % leaf.steps.length);
      return left.map((step) => more(leaf, step, 1, ""));
    }
    case "trait":
      return [{ kind: "trait", text: leafInWords(leaf), where: leaf.where.source }];
    case "aggregate":
      return because.kind === "aggregate" ? aggregateSteps(leaf, because.value) : undefined;
    case "occurrence":
      if (leaf.which === "first" && because.kind === "occurrence" && because.instant !== undefined)
        return undefined;
      return leaf.when.kind === "before" ? undefined : [more(leaf, leaf.matcher, 1, "")];
    case "active_days": {
      const days = because.kind === "active_days" ? because.days.length : 0;
      return [more(leaf, leaf.matcher, leaf.atLeast - days, ", each on another day")];
    }
    case "inactive_for":
    case "in_segment":
      return undefined;
  }
}

function stepsToEnd(leaf: Leaf, because: Because): Step[] | undefined {
  switch (leaf.kind) {
    case "performed":
      return because.kind === "performed" ? countSteps(leaf, because.count, false) : undefined;
    case "performed_then_not":
      return [more(leaf, leaf.thenNot, 1, "")];
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
  const turns = kind === "at_least" || kind === "less_than" ? [n] : kind === "exactly" ? [n, n + 1] : [n + 1];
  const turn = turns.find((at) => at > count);
  if (turn === undefined) return undefined;
  const risesToHold = kind === "at_least" || kind === "more_than" || (kind === "exactly" && turn === n);
  return risesToHold === wanted ? [more(leaf, leaf.matcher, turn - count, "")] : undefined;
}

function aggregateSteps(leaf: Aggregate, value: number | undefined): Step[] | undefined {
  const { kind, value: wanted } = leaf.comparison;
  const isRising = kind === "at_least" || kind === "more_than" || kind === "exactly";
  const difference = leaf.function === "sum" ? wanted - (value ?? 0) : undefined;
  if (difference !== undefined && (difference < 0 || !isRising)) return undefined;
  const byHowMuch = difference === undefined ? "" : `: ${difference} is missing`;
  return [
    {
      kind: leaf.kind,
      text: `${leafInWords(leaf)}${byHowMuch}`,
      ...eventOf(leaf.matcher),
    },
  ];
}

function more(leaf: Leaf, matcher: Matcher, count: number, rest: string): Step {
  return {
    kind: leaf.kind,
    text: `${count} more ${matcherInWords(matcher)}${rest}`,
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
