// Simulates a rule: evaluates profiles from raw events alone and stores no state. Pure.
import type { SegmentId } from "@muster/core";
import { Definitions, type SegmentDefinition } from "../engine/definitions.ts";
import { evaluate } from "../engine/evaluate.ts";
import {
  type EngineEvent,
  type EngineProfile,
  emptyState,
  type ProfileState,
  recordEvent,
  recordProfile,
  viewOf,
} from "../engine/profile-state.ts";
import { type Rule, segmentsIn } from "../engine/rule.ts";
import type { ProfileView, Verdict } from "../engine/verdict.ts";

/** No segment has this id. */
const ON_TRIAL = "ffffffff-ffff-ffff-ffff-ffffffffffff" as SegmentId;

export class Trial {
  readonly rule: Rule;
  /** Definitions of the rule and of the segments that it refers to, directly or indirectly. */
  readonly definitions: Definitions;

  /** `segments` are all segments that the rule may refer to. */
  constructor(rule: Rule, segments: readonly SegmentDefinition[]) {
    this.rule = rule;
    this.definitions = new Definitions(0, [{ id: ON_TRIAL, rule }, ...namedBy(rule, segments)]);
  }

  begin(profile: EngineProfile): TrialProfile {
    return new TrialProfile(this, profile);
  }
}

/** One profile under the simulated rule. Events arrive in the order in which they happened. */
export class TrialProfile {
  readonly createMs: number;
  readonly state: ProfileState = emptyState();
  readonly #trial: Trial;
  readonly #view: ProfileView;
  readonly #touched = new Set<SegmentDefinition>();

  constructor(trial: Trial, profile: EngineProfile) {
    this.#trial = trial;
    this.createMs = profile.createMs;
    recordProfile(this.state, trial.definitions, profile, this.#touched);
    this.#view = viewOf(this.state, trial.definitions.ruleOf);
  }

  /** Applies an event that has happened by `nowMs`. Returns whether the event affects the rule. */
  note(event: EngineEvent, nowMs: number): boolean {
    this.#touched.clear();
    recordEvent(this.state, this.#trial.definitions, event, nowMs, this.#touched);
    return this.#touched.size > 0;
  }

  decide(nowMs: number): Verdict {
    return evaluate(this.#trial.rule, this.#view, nowMs);
  }
}

/** The segments that the rule refers to, directly or indirectly. */
function namedBy<S extends SegmentDefinition>(rule: Rule, segments: readonly S[]): S[] {
  const byId = new Map(segments.map((segment) => [segment.id, segment]));
  const named = new Set(segmentsIn(rule));
  // The loop also visits ids that are added to the set meanwhile.
  for (const id of named) {
    const segment = byId.get(id);
    for (const other of segment === undefined ? [] : segmentsIn(segment.rule)) named.add(other);
  }
  return segments.filter(({ id }) => named.has(id));
}
