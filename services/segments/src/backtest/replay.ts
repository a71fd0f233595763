// Replays one profile's events under a rule and counts entries and exits per day. The clock moves from each
// instant at which the result may change to the next. Pure.
import { assert } from "@muster/core";
import type { EngineEvent, EngineProfile } from "../engine/state/apply-events.ts";
import type { RuleSimulation, SimulatedProfile } from "../simulation/rule-simulation.ts";
import { type DailyCounts, ProfileChanges } from "./daily-counts.ts";

/** Receives the units of work; throws to end the replay. */
export interface WorkMeter {
  spend(units: number): void;
}

/** Events arrive in the order in which they happened. Events of one instant count together. */
export class Replay {
  readonly #profile: SimulatedProfile;
  readonly #dailyCounts: DailyCounts;
  readonly #changes: ProfileChanges;
  readonly #meter: WorkMeter;
  /** Units of one evaluation. */
  readonly #leaves: number;
  /** The instant of the last events, which have not been evaluated yet. */
  #pendingMs: number | undefined;
  #isMember = false;

  constructor(
    simulation: RuleSimulation,
    profile: EngineProfile,
    dailyCounts: DailyCounts,
    meter: WorkMeter,
  ) {
    this.#profile = simulation.begin(profile);
    this.#dailyCounts = dailyCounts;
    this.#changes = new ProfileChanges(dailyCounts);
    this.#meter = meter;
    this.#leaves = simulation.leaves;
  }

  record(event: EngineEvent): void {
    const [ms] = event.instant;
    assert(ms >= (this.#pendingMs ?? ms), "events arrive in order");
    this.#meter.spend(1);
    if (ms > this.#dailyCounts.nowMs) return;
    if (ms !== this.#pendingMs) this.#advanceUntil(ms);
    this.#pendingMs = ms;
    this.#profile.record(event, ms);
    this.#meter.spend(this.#profile.takePredicateWork());
  }

  /** Returns false, and counts nothing, if a predicate exceeded the budget of an event. */
  finish(): boolean {
    if (this.#profile.isUnknown) return false;
    this.#advanceUntil(this.#dailyCounts.nowMs + 1);
    this.#dailyCounts.add(this.#changes);
    return true;
  }

  /** Evaluates the pending events and every later change before `endMs`. */
  #advanceUntil(endMs: number): void {
    const { startMs } = this.#dailyCounts;
    // A profile exists from its creation or an earlier first event on. Of the time before the first day only
    // the final result matters.
    let atMs: number | undefined = Math.max(this.#pendingMs ?? this.#profile.createMs, startMs - 1);
    while (atMs !== undefined && atMs < endMs) {
      this.#meter.spend(this.#leaves);
      const { member, nextChangeAt } = this.#profile.evaluate(atMs);
      if (member !== this.#isMember) this.#changes.add(member, atMs);
      this.#isMember = member;
      assert(nextChangeAt === undefined || nextChangeAt > atMs, "the next change lies ahead");
      atMs = nextChangeAt;
    }
  }
}
