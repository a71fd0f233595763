// Simulates a rule: evaluates profiles from raw events alone and stores no state. Pure.
import type { EvaluationId } from "@muster/core";
import { evaluateForward } from "../engine/evaluation/evaluate.ts";
import type { Evaluation, ProfileView } from "../engine/evaluation/evaluation.ts";
import { WindowAggregates } from "../engine/evaluation/window-aggregates.ts";
import { type EvaluatedRule, leavesOf, segmentsIn } from "../engine/rule/rule.ts";
import {
  type EngineEvent,
  type EngineProfile,
  recordEvent,
  recordProfile,
} from "../engine/state/apply-events.ts";
import { Definitions, type SegmentDefinition } from "../engine/state/definitions.ts";
import { emptyState, type ProfileState, viewOf } from "../engine/state/profile-state.ts";
import { UNITS_PER_MICROSECOND } from "../predicates/parse/limits.ts";

/** No evaluation has this id. */
const SIMULATED_EVALUATION_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff" as EvaluationId;

export class RuleSimulation {
  readonly rule: EvaluatedRule;
  /** Definitions of the rule and of the segments that it refers to, directly or indirectly. */
  readonly definitions: Definitions;
  /** Number of leaves of all rules, which bounds the work of an evaluation. */
  readonly leaves: number;
  /** The segments that the rule refers to, directly or indirectly. */
  readonly segments: readonly SegmentDefinition[];

  /** `segments` are all segments that the rule may refer to. */
  constructor(rule: EvaluatedRule, segments: readonly SegmentDefinition[]) {
    this.rule = rule;
    this.segments = referencedBy(rule, segments);
    this.definitions = new Definitions(0, [{ id: SIMULATED_EVALUATION_ID, rule }, ...this.segments]);
    const rules = [rule, ...this.segments.map((segment) => segment.rule)];
    this.leaves = rules.reduce((sum, one) => sum + leavesOf(one).length, 0);
  }

  begin(profile: EngineProfile): SimulatedProfile {
    return new SimulatedProfile(this, profile);
  }
}

/**
 * One profile under the simulated rule. Events arrive in the order in which they happened, and time never moves
 * back.
 */
export class SimulatedProfile {
  readonly createMs: number;
  readonly state: ProfileState = emptyState();
  readonly #simulation: RuleSimulation;
  readonly #view: ProfileView;
  readonly #changedSegments = new Set<SegmentDefinition>();
  #predicateUnits = 0;

  constructor(simulation: RuleSimulation, profile: EngineProfile) {
    this.#simulation = simulation;
    this.createMs = profile.createMs;
    const { units } = recordProfile(this.state, simulation.definitions, profile, this.#changedSegments);
    this.#predicateUnits += units;
    const windows = new WindowAggregates();
    this.#view = { ...viewOf(this.state, simulation.definitions.ruleOf), windows };
  }

  /** Applies an event that has happened by `nowMs`. Returns whether the event affects the rule. */
  record(event: EngineEvent, nowMs: number): boolean {
    this.#changedSegments.clear();
    const { definitions } = this.#simulation;
    this.#predicateUnits += recordEvent(this.state, definitions, event, nowMs, this.#changedSegments).units;
    return this.#changedSegments.size > 0;
  }

  /** Work of predicates since the last call, in microseconds. */
  takePredicateWork(): number {
    const units = this.#predicateUnits;
    this.#predicateUnits = 0;
    return units / UNITS_PER_MICROSECOND;
  }

  /** Whether a predicate exceeded the budget of an event, so that the result is unknown. */
  get isUnknown(): boolean {
    return this.state.unknownKeys.size > 0;
  }

  /** `nextChangeAt` may be too early. */
  evaluate(nowMs: number): Evaluation {
    return evaluateForward(this.#simulation.rule, this.#view, nowMs);
  }
}

/** The segments that the rule refers to, directly or indirectly. */
function referencedBy<S extends SegmentDefinition>(rule: EvaluatedRule, segments: readonly S[]): S[] {
  const byId = new Map(segments.map((segment) => [segment.id, segment]));
  const named = new Set(segmentsIn(rule));
  // The loop also visits ids that are added to the set meanwhile.
  for (const id of named) {
    const segment = byId.get(id);
    for (const other of segment === undefined ? [] : segmentsIn(segment.rule)) named.add(other);
  }
  return segments.filter(({ id }) => named.has(id));
}
