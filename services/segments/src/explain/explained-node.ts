// Builds the explanation of a rule, node by node: needed and observed values.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ExplainedNodeSchema,
  type ObservationSchema,
  Resolution,
} from "@muster/contracts/muster/segments/v1/segment_explain_pb";
import { bytesToUuid, type EvaluationId } from "@muster/core";
import type { Evaluation, Evidence, ProfileView } from "../engine/evaluation/evaluation.ts";
import type { EventInstant } from "../engine/facts/count-facts.ts";
import { factsOfLeaf } from "../engine/facts/fact-spec.ts";
import { readsEventsBefore } from "../engine/rule/lookback.ts";
import { childrenOf, type EvaluatedRule, type Leaf } from "../engine/rule/rule.ts";
import { describeLeaf, describeMatcher, formatInstant } from "./describe-rule.ts";

type NodeInit = MessageInitShape<typeof ExplainedNodeSchema>;
type ObservationInit = MessageInitShape<typeof ObservationSchema>;

/** Most event ids of one node. */
const EVENT_IDS_MAX = 1000;

/** Options of one explanation. */
export interface ExplainOptions {
  readonly nowMs: number;
  /** Segments whose rules the explanation already contains. */
  readonly shownSegments: Set<EvaluationId>;
  /** The instant since when the fact of this key is complete; 0: from the beginning. */
  completeSinceOf(factKey: string): number;
  /** Whether a predicate of the leaf, or of the segment that it names, was not evaluated. */
  isUnknown(leaf: Leaf<EvaluationId>): boolean;
}

/**
 * Explains the evaluation of the rule over this view. The rule of another segment appears only below the
 * first node that refers to it, because mutual references would otherwise multiply the tree.
 */
export function explainNode(
  rule: EvaluatedRule,
  evaluation: Evaluation,
  view: ProfileView,
  options: ExplainOptions,
): NodeInit {
  const { evidence, member, nextChangeAt, isExact } = evaluation;
  const completeSinceMs = completeSinceOf(rule, options);
  const children = childNodes(rule, evidence, view, options);
  const isUnknown = isUnknownNode(rule, children, options);
  const observation = observed(rule, evidence, view);
  return {
    kind: rule.kind,
    holds: member,
    observed: isUnknown && children.length === 0 ? unknownOf(observation) : observation,
    needed: needed(rule),
    eventIds: instantsThatCount(rule, evidence, view)
      .slice(0, EVENT_IDS_MAX)
      .map(([, id]) => uuidOfEvent(id)),
    resolution: isUnknown ? Resolution.UNKNOWN : isExact ? Resolution.EXACT : Resolution.CAPPED,
    ...(nextChangeAt !== undefined && !isUnknown && { nextChangeAt: timestampFromMs(nextChangeAt) }),
    children,
    ...(completeSinceMs !== undefined && { completeSince: timestampFromMs(completeSinceMs) }),
  };
}

function isUnknownNode(rule: EvaluatedRule, children: readonly NodeInit[], options: ExplainOptions): boolean {
  if (rule.kind === "all" || rule.kind === "any" || rule.kind === "not") {
    return children.some(({ resolution }) => resolution === Resolution.UNKNOWN);
  }
  return options.isUnknown(rule);
}

function unknownOf(known: ObservationInit): ObservationInit {
  return { ...known, text: `unknown, because a predicate took too much work; known so far: ${known.text}` };
}

/** The engine keeps event ids in base64url. */
function uuidOfEvent(id: string): string {
  return bytesToUuid(Buffer.from(id, "base64url"));
}

/** The instant since when the facts of a leaf are complete; undefined when no missing event can matter. */
function completeSinceOf(
  rule: EvaluatedRule,
  { completeSinceOf, nowMs }: ExplainOptions,
): number | undefined {
  if (rule.kind === "all" || rule.kind === "any" || rule.kind === "not") return undefined;
  const sinceMs = Math.max(0, ...factsOfLeaf(rule).map(({ key }) => completeSinceOf(key)));
  return sinceMs > 0 && readsEventsBefore(rule, sinceMs, nowMs) ? sinceMs : undefined;
}

function childNodes(
  rule: EvaluatedRule,
  evidence: Evidence,
  view: ProfileView,
  options: ExplainOptions,
): NodeInit[] {
  if (evidence.kind === "in_segment") {
    if (options.shownSegments.has(evidence.segmentId)) return [];
    options.shownSegments.add(evidence.segmentId);
  }
  return childEvaluations(rule, evidence, view).map((child) =>
    explainNode(child.rule, child.evaluation, view, options),
  );
}

export interface ChildEvaluation {
  readonly rule: EvaluatedRule;
  readonly evaluation: Evaluation;
}

/** The child nodes with their evaluations; below `in_segment`, the other segment's rule. */
export function childEvaluations(
  rule: EvaluatedRule,
  evidence: Evidence,
  view: ProfileView,
): ChildEvaluation[] {
  if (evidence.kind === "in_segment") {
    const other = view.ruleOf(evidence.segmentId);
    return other === undefined || evidence.evaluation === undefined
      ? []
      : [{ rule: other, evaluation: evidence.evaluation }];
  }
  const evaluations =
    evidence.kind === "all" || evidence.kind === "any"
      ? evidence.children
      : evidence.kind === "not"
        ? [evidence.child]
        : [];
  return childrenOf(rule).flatMap((child, index) => {
    const evaluation = evaluations[index];
    return evaluation === undefined ? [] : [{ rule: child, evaluation }];
  });
}

function needed(rule: EvaluatedRule): ObservationInit {
  switch (rule.kind) {
    case "all":
      return { text: "all of these", count: BigInt(rule.rules.length) };
    case "any":
      return { text: "at least one of these", count: 1n };
    case "not":
      return { text: "not this" };
    case "performed":
      return { text: describeLeaf(rule), count: BigInt(rule.count.n) };
    case "sequence":
      return { text: describeLeaf(rule), count: BigInt(rule.steps.length) };
    case "aggregate":
      return { text: describeLeaf(rule), value: rule.comparison.value };
    case "active_days":
      return { text: describeLeaf(rule), count: BigInt(rule.atLeast) };
    case "occurrence":
      return rule.when.kind === "within"
        ? { text: describeLeaf(rule) }
        : { text: describeLeaf(rule), at: timestampFromMs(rule.when.ms) };
    default:
      return { text: describeLeaf(rule) };
  }
}

function observed(rule: EvaluatedRule, evidence: Evidence, view: ProfileView): ObservationInit {
  switch (evidence.kind) {
    case "all":
    case "any": {
      const holding = evidence.children.filter(({ member }) => member).length;
      return { text: `${holding} of ${evidence.children.length} hold`, count: BigInt(holding) };
    }
    case "not":
      return { text: evidence.child.member ? "this holds" : "this does not hold" };
    case "performed": {
      const { count, orMore, total } = evidence;
      return { text: `${count}${orMore ? " or more" : ""} count, of ${total} ever`, count: BigInt(count) };
    }
    case "performed_then_not":
      return { text: describeThenNot(rule, evidence), ...at(evidence.lastMs) };
    case "sequence":
      return {
        text: `${evidence.chain.length} of ${evidence.steps} steps${describeTie(rule, evidence.chain, view)}`,
        count: BigInt(evidence.chain.length),
        ...at(evidence.chain.at(-1)?.[0]),
      };
    case "trait":
      return { text: evidence.holds ? "the traits match" : "the traits do not match" };
    case "in_segment":
      return { text: describeInSegment(evidence) };
    case "inactive_for":
      return { text: describeInactivity(evidence, view), ...at(evidence.sinceMs) };
    case "aggregate":
      return {
        text: evidence.value === undefined ? "no number" : `${evidence.value} of ${evidence.count} events`,
        ...(evidence.value !== undefined && { value: evidence.value }),
        count: BigInt(evidence.count),
      };
    case "occurrence":
      return {
        text: evidence.instant === undefined ? "never" : formatInstant(evidence.instant[0]),
        ...at(evidence.instant?.[0]),
      };
    case "active_days":
      return { text: `${evidence.days.length} days`, count: BigInt(evidence.days.length) };
  }
}

function at(ms: number | undefined): { at?: ReturnType<typeof timestampFromMs> } {
  return ms === undefined ? {} : { at: timestampFromMs(ms) };
}

/** Explains why an event of the next step does not count, if it happened together with the last step. */
function describeTie(rule: EvaluatedRule, chain: readonly EventInstant[], view: ProfileView): string {
  const last = chain.at(-1);
  if (rule.kind !== "sequence" || last === undefined) return "";
  const next = rule.steps[chain.length];
  const [spec] = factsOfLeaf(rule);
  const facts = spec === undefined ? undefined : view.facts(spec.key);
  if (next === undefined || facts?.kind !== "sequence") return "";
  const nextBit = 1 << chain.length;
  const isTied = facts.recent.some(([ms, , matcherBits]) => ms === last[0] && (matcherBits & nextBit) !== 0);
  if (!isTied) return "";
  const event = `${describeMatcher(next)} at ${formatInstant(last[0])}`;
  return `; ${event} does not count, because it is not later than the step before`;
}

function describeThenNot(
  rule: EvaluatedRule,
  evidence: Extract<Evidence, { kind: "performed_then_not" }>,
): string {
  if (rule.kind !== "performed_then_not") return "";
  const when = (ms: number | undefined) => (ms === undefined ? "never" : formatInstant(ms));
  const last = `last ${describeMatcher(rule.matcher)}: ${when(evidence.lastMs)}`;
  return `${last}; last ${describeMatcher(rule.thenNot)}: ${when(evidence.thenNotLastMs)}`;
}

function describeInSegment({ evaluation }: Extract<Evidence, { kind: "in_segment" }>): string {
  if (evaluation === undefined) return "the segment does not exist";
  return evaluation.member ? "in it" : "not in it";
}

function describeInactivity(
  evidence: Extract<Evidence, { kind: "inactive_for" }>,
  view: ProfileView,
): string {
  if (evidence.last !== undefined) return `last event: ${formatInstant(evidence.last[0])}`;
  return view.createMs === undefined ? "no event" : `no event since ${formatInstant(view.createMs)}`;
}

/** Newest first. */
function instantsThatCount(
  rule: EvaluatedRule,
  evidence: Evidence,
  view: ProfileView,
): readonly EventInstant[] {
  switch (evidence.kind) {
    case "performed":
      return evidence.newest.slice(0, evidence.count);
    case "performed_then_not":
      return evidence.since === undefined ? newestOf(rule, view) : [evidence.since];
    case "sequence":
      return [...evidence.chain].reverse();
    case "inactive_for":
      return evidence.last === undefined ? [] : [evidence.last];
    case "occurrence":
      return evidence.instant === undefined ? [] : [evidence.instant];
    default:
      return [];
  }
}

/** The newest event of the first fact that a leaf reads. */
function newestOf(rule: EvaluatedRule, view: ProfileView): readonly EventInstant[] {
  const [spec] = factsOfLeaf(rule as Leaf<string>);
  const facts = spec === undefined ? undefined : view.facts(spec.key);
  return facts?.kind === "count" ? facts.newest.slice(0, 1) : [];
}
