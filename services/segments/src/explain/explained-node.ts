// Builds the explanation of a rule, node by node: needed and observed values.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ExplainedNodeSchema,
  type ObservationSchema,
  Resolution,
} from "@muster/contracts/muster/segments/v1/segment_explain_pb";
import { bytesToUuid, type SegmentId } from "@muster/core";
import { factsOfLeaf } from "../engine/fact-spec.ts";
import type { Instant } from "../engine/facts.ts";
import { reachesBehind } from "../engine/reach.ts";
import { childrenOf, type Leaf, type Rule } from "../engine/rule.ts";
import type { Because, ProfileView, Verdict } from "../engine/verdict.ts";
import { instantInWords, leafInWords, matcherInWords } from "./words.ts";

type NodeInit = MessageInitShape<typeof ExplainedNodeSchema>;
type ObservationInit = MessageInitShape<typeof ObservationSchema>;

/** Most event ids of one node. */
const EVENT_IDS_MAX = 1000;

/** Options of one explanation. */
export interface Telling {
  readonly nowMs: number;
  /** Segments whose rules the explanation already contains. */
  readonly shown: Set<SegmentId>;
  /** The instant since when the fact of this key is complete; 0: from the beginning. */
  completeSinceOf(factKey: string): number;
}

/**
 * Explains the evaluation of the rule over this view. The rule of another segment appears only below the
 * first node that refers to it, because mutual references would otherwise multiply the tree.
 */
export function explainNode(rule: Rule, verdict: Verdict, view: ProfileView, telling: Telling): NodeInit {
  const { because, member, nextChangeAt, isExact } = verdict;
  const completeSinceMs = completeSinceOf(rule, telling);
  return {
    kind: rule.kind,
    holds: member,
    observed: observed(rule, because, view),
    needed: needed(rule),
    eventIds: instantsThatCount(rule, because, view)
      .slice(0, EVENT_IDS_MAX)
      .map(([, id]) => uuidOfEvent(id)),
    resolution: isExact ? Resolution.EXACT : Resolution.CAPPED,
    ...(nextChangeAt !== undefined && { nextChangeAt: timestampFromMs(nextChangeAt) }),
    children: childNodes(rule, because, view, telling),
    ...(completeSinceMs !== undefined && { completeSince: timestampFromMs(completeSinceMs) }),
  };
}

/** The engine keeps event ids in base64url. */
function uuidOfEvent(id: string): string {
  return bytesToUuid(Buffer.from(id, "base64url"));
}

/** The instant since when the facts of a leaf are complete; undefined when no missing event can matter. */
function completeSinceOf(rule: Rule, { completeSinceOf, nowMs }: Telling): number | undefined {
  if (rule.kind === "all" || rule.kind === "any" || rule.kind === "not") return undefined;
  const sinceMs = Math.max(0, ...factsOfLeaf(rule).map(({ key }) => completeSinceOf(key)));
  return sinceMs > 0 && reachesBehind(rule, sinceMs, nowMs) ? sinceMs : undefined;
}

function childNodes(rule: Rule, because: Because, view: ProfileView, telling: Telling): NodeInit[] {
  if (because.kind === "in_segment") {
    if (telling.shown.has(because.segmentId)) return [];
    telling.shown.add(because.segmentId);
  }
  return childVerdicts(rule, because, view).map((child) =>
    explainNode(child.rule, child.verdict, view, telling),
  );
}

export interface ChildVerdict {
  readonly rule: Rule;
  readonly verdict: Verdict;
}

/** The child nodes with their evaluations; below `in_segment`, the other segment's rule. */
export function childVerdicts(rule: Rule, because: Because, view: ProfileView): ChildVerdict[] {
  if (because.kind === "in_segment") {
    const other = view.ruleOf(because.segmentId);
    return other === undefined || because.verdict === undefined
      ? []
      : [{ rule: other, verdict: because.verdict }];
  }
  const verdicts =
    because.kind === "all" || because.kind === "any"
      ? because.children
      : because.kind === "not"
        ? [because.child]
        : [];
  return childrenOf(rule).flatMap((child, index) => {
    const verdict = verdicts[index];
    return verdict === undefined ? [] : [{ rule: child, verdict }];
  });
}

function needed(rule: Rule): ObservationInit {
  switch (rule.kind) {
    case "all":
      return { text: "all of these", count: BigInt(rule.rules.length) };
    case "any":
      return { text: "at least one of these", count: 1n };
    case "not":
      return { text: "not this" };
    case "performed":
      return { text: leafInWords(rule), count: BigInt(rule.count.n) };
    case "sequence":
      return { text: leafInWords(rule), count: BigInt(rule.steps.length) };
    case "aggregate":
      return { text: leafInWords(rule), value: rule.comparison.value };
    case "active_days":
      return { text: leafInWords(rule), count: BigInt(rule.atLeast) };
    case "occurrence":
      return rule.when.kind === "within"
        ? { text: leafInWords(rule) }
        : { text: leafInWords(rule), at: timestampFromMs(rule.when.ms) };
    default:
      return { text: leafInWords(rule) };
  }
}

function observed(rule: Rule, because: Because, view: ProfileView): ObservationInit {
  switch (because.kind) {
    case "all":
    case "any": {
      const holding = because.children.filter(({ member }) => member).length;
      return { text: `${holding} of ${because.children.length} hold`, count: BigInt(holding) };
    }
    case "not":
      return { text: because.child.member ? "this holds" : "this does not hold" };
    case "performed": {
      const { count, orMore, total } = because;
      return { text: `${count}${orMore ? " or more" : ""} count, of ${total} ever`, count: BigInt(count) };
    }
    case "performed_then_not":
      return { text: thenNotInWords(rule, because), ...at(because.lastMs) };
    case "sequence":
      return {
        text: `${because.chain.length} of ${because.steps} steps`,
        count: BigInt(because.chain.length),
        ...at(because.chain.at(-1)?.[0]),
      };
    case "trait":
      return { text: because.holds ? "the traits match" : "the traits do not match" };
    case "in_segment":
      return { text: inSegmentInWords(because) };
    case "inactive_for":
      return { text: inactiveInWords(because, view), ...at(because.sinceMs) };
    case "aggregate":
      return {
        text: because.value === undefined ? "no number" : `${because.value} of ${because.count} events`,
        ...(because.value !== undefined && { value: because.value }),
        count: BigInt(because.count),
      };
    case "occurrence":
      return {
        text: because.instant === undefined ? "never" : instantInWords(because.instant[0]),
        ...at(because.instant?.[0]),
      };
    case "active_days":
      return { text: `${because.days.length} days`, count: BigInt(because.days.length) };
  }
}

function at(ms: number | undefined): { at?: ReturnType<typeof timestampFromMs> } {
  return ms === undefined ? {} : { at: timestampFromMs(ms) };
}

function thenNotInWords(rule: Rule, because: Extract<Because, { kind: "performed_then_not" }>): string {
  if (rule.kind !== "performed_then_not") return "";
  const when = (ms: number | undefined) => (ms === undefined ? "never" : instantInWords(ms));
  const last = `last ${matcherInWords(rule.matcher)}: ${when(because.lastMs)}`;
  return `${last}; last ${matcherInWords(rule.thenNot)}: ${when(because.thenNotLastMs)}`;
}

function inSegmentInWords({ verdict }: Extract<Because, { kind: "in_segment" }>): string {
  if (verdict === undefined) return "the segment does not exist";
  return verdict.member ? "in it" : "not in it";
}

function inactiveInWords(because: Extract<Because, { kind: "inactive_for" }>, view: ProfileView): string {
  if (because.last !== undefined) return `last event: ${instantInWords(because.last[0])}`;
  return view.createMs === undefined ? "no event" : `no event since ${instantInWords(view.createMs)}`;
}

/** Newest first. */
function instantsThatCount(rule: Rule, because: Because, view: ProfileView): readonly Instant[] {
  switch (because.kind) {
    case "performed":
      return because.newest.slice(0, because.count);
    case "performed_then_not":
      return because.since === undefined ? newestOf(rule, view) : [because.since];
    case "sequence":
      return [...because.chain].reverse();
    case "inactive_for":
      return because.last === undefined ? [] : [because.last];
    case "occurrence":
      return because.instant === undefined ? [] : [because.instant];
    default:
      return [];
  }
}

/** The newest event of the first fact that a leaf reads. */
function newestOf(rule: Rule, view: ProfileView): readonly Instant[] {
  const [spec] = factsOfLeaf(rule as Leaf);
  const facts = spec === undefined ? undefined : view.facts(spec.key);
  return facts?.kind === "count" ? facts.newest.slice(0, 1) : [];
}
