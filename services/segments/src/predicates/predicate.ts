// Pure. Compiles predicates of segment rules on an event's properties or a profile's traits. The language is
// CEL, described in README.md. A predicate is checked and bounded when it is saved, compiled once, and its
// evaluation never throws.
import { fieldsRead, worstCaseSteps } from "./check/bounds.ts";
import { checkPredicate, type Fail } from "./check/check.ts";
import { unrepeatedNodesOf, worstCaseUnits } from "./check/worst-case-units.ts";
import { compileTree } from "./compile/compile.ts";
import type { Evaluate } from "./compile/compiler.ts";
import { canonicalText } from "./parse/canonical.ts";
import { EVALUATION_UNITS_MAX, PREDICATE_SOURCE_BYTES_MAX } from "./parse/limits.ts";
import { parse } from "./parse/parse.ts";
import { PredicateError, positionOf } from "./parse/predicate-error.ts";
import { isMap, type JsonObject, Problem, type Run, UNITS_EXCEEDED } from "./values/values.ts";

/** The data of a predicate: `properties` of an event, or `traits` of a profile. */
export type PredicateSubject = "event" | "traits";

/** The result of one evaluation. A problem (such as a missing key) makes the predicate false. */
export interface PredicateResult {
  readonly holds: boolean;
  readonly problem: string | undefined;
}

/** The result of an evaluation within a budget. */
export interface BudgetedResult {
  /** Undefined if the budget ended the evaluation. */
  readonly holds: boolean | undefined;
  /** Units of work used. */
  readonly units: number;
}

export interface Predicate {
  readonly source: string;
  readonly subject: PredicateSubject;
  /** The canonical text, equal for all spellings of one predicate. Matchers are shared by this text. */
  readonly key: string;
  /** Names of the top-level properties or traits that the predicate reads, sorted. */
  readonly fields: readonly string[];
  /** True if the predicate also reads other fields, such as `size(properties)`. */
  readonly readsAllFields: boolean;
  /** Steps of one evaluation in the worst case. */
  readonly costSteps: number;
  /** Units of one evaluation over the largest data, at most EVALUATION_UNITS_MAX. */
  readonly worstCaseUnits: number;
  /** False for everything except a JSON object. Never throws. */
  matches(json: string | JsonObject): boolean;
  /** Like `matches`, with the reason if the data prevented a result. */
  evaluate(json: string | JsonObject): PredicateResult;
  /** Like `matches`, but the evaluation may use at most `unitsMax` units, a limit of the caller. */
  matchesWithin(unitsMax: number, json: JsonObject): BudgetedResult;
}

const ROOT_NAMES: Readonly<Record<PredicateSubject, string>> = { event: "properties", traits: "traits" };

/** Throws PredicateError if the predicate is invalid. */
export function compilePredicate(source: string, subject: PredicateSubject): Predicate {
  const root = ROOT_NAMES[subject];
  const fail: Fail = (node, reason) => {
    throw new PredicateError(reason, positionOf(source, node.offset));
  };
  checkText(source);
  const tree = parse(source);
  const costSteps = worstCaseSteps(tree, fail);
  checkPredicate(tree, root, fail);
  const { fields, readsAll } = fieldsRead(tree, root);
  const evaluate = compileTree(tree, source, root);
  const startUnits = unrepeatedNodesOf(tree);
  return {
    source,
    subject,
    key: canonicalText(tree, root),
    fields,
    readsAllFields: readsAll,
    costSteps,
    worstCaseUnits: worstCaseUnits(tree, root),
    matches: (json) => outcome(evaluate, startRun(json, startUnits)) === true,
    evaluate: (json) => resultOf(outcome(evaluate, startRun(json, startUnits))),
    matchesWithin(unitsMax, json) {
      const run = startRun(json, startUnits, Math.min(unitsMax, EVALUATION_UNITS_MAX));
      const value = outcome(evaluate, run);
      const isEnded = value === UNITS_EXCEEDED && run.unitsMax < EVALUATION_UNITS_MAX;
      return { holds: isEnded ? undefined : value === true, units: Math.min(run.units, run.unitsMax) };
    },
  };
}

function startRun(json: string | JsonObject, units: number, unitsMax = EVALUATION_UNITS_MAX): Run {
  return { subject: typeof json === "string" ? parsed(json) : json, item: null, units, unitsMax };
}

function checkText(source: string): void {
  const bytes = Buffer.byteLength(source);
  if (bytes > PREDICATE_SOURCE_BYTES_MAX) {
    const reason = `the predicate has ${bytes} bytes, the most is ${PREDICATE_SOURCE_BYTES_MAX}`;
    throw new PredicateError(reason, { line: 1, column: 1 });
  }
  const broken = source.isWellFormed() ? -1 : source.search(/\p{Surrogate}/u);
  if (broken >= 0) throw new PredicateError("unpaired surrogate", positionOf(source, broken));
}

function outcome(evaluate: Evaluate, run: Run): unknown {
  if (!isMap(run.subject)) return NO_OBJECT;
  try {
    return run.units > run.unitsMax ? UNITS_EXCEEDED : evaluate(run);
  } catch (error) {
    if (error === UNITS_EXCEEDED) return UNITS_EXCEEDED;
    throw error;
  }
}

const NO_OBJECT = new Problem(() => "the data is not a JSON object");

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function resultOf(value: unknown): PredicateResult {
  if (value instanceof Problem) return { holds: false, problem: value.describe() };
  if (typeof value === "boolean") return { holds: value, problem: undefined };
  return { holds: false, problem: "the predicate is not a bool for this data" };
}
