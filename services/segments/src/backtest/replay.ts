// Replays one profile's events under a rule and counts entries and exits per day. The clock moves from each
// instant at which the result may change to the next. Pure.
import { assert } from "@muster/core";
import type { EngineEvent, EngineProfile } from "../engine/state/apply-events.ts";
import type { RuleSimulation, SimulatedProfile } from "../preview/rule-simulation.ts";

const DAY_MS = 86_400_000;

export interface DayCounts {
  entries: number;
  exits: number;
}

/** Sums up the replays of all profiles. */
export class DailyCounts {
  /** Start of the first UTC day. */
  readonly startMs: number;
  readonly nowMs: number;
  readonly days: readonly DayCounts[];
  membersBefore = 0;

  /** The last `days` UTC days, the day of `nowMs` included. */
  constructor(nowMs: number, days: number) {
    this.nowMs = nowMs;
    this.startMs = Math.floor(nowMs / DAY_MS) * DAY_MS - (days - 1) * DAY_MS;
    this.days = Array.from({ length: days }, () => ({ entries: 0, exits: 0 }));
  }

  addChange(member: boolean, ms: number): void {
    const day = this.days[Math.floor((ms - this.startMs) / DAY_MS)];
    if (day === undefined) this.membersBefore += member ? 1 : -1;
    else if (member) day.entries += 1;
    else day.exits += 1;
  }

  dateOf(day: number): string {
    return new Date(this.startMs + day * DAY_MS).toISOString().slice(0, 10);
  }
}

/** Events arrive in the order in which they happened. Events of one instant count together. */
export class Replay {
  readonly #profile: SimulatedProfile;
  readonly #dailyCounts: DailyCounts;
  /** The instant of the last events, which have not been evaluated yet. */
  #pendingMs: number | undefined;
  #isMember = false;

  constructor(simulation: RuleSimulation, profile: EngineProfile, dailyCounts: DailyCounts) {
    this.#profile = simulation.begin(profile);
    this.#dailyCounts = dailyCounts;
  }

  record(event: EngineEvent): void {
    const [ms] = event.instant;
    if (ms > this.#dailyCounts.nowMs) return;
    if (ms !== this.#pendingMs) this.#advanceUntil(ms);
    this.#pendingMs = ms;
    this.#profile.record(event, ms);
  }

  finish(): void {
    this.#advanceUntil(this.#dailyCounts.nowMs + 1);
  }

  /** Evaluates the pending events and every later change before `endMs`. */
  #advanceUntil(endMs: number): void {
    const { startMs } = this.#dailyCounts;
    // A profile exists from its creation or an earlier first event on. Of the time before the first day only
    // the final result matters.
    let atMs: number | undefined = Math.max(this.#pendingMs ?? this.#profile.createMs, startMs - 1);
    while (atMs !== undefined && atMs < endMs) {
      const { member, nextChangeAt } = this.#profile.evaluate(atMs);
      if (member !== this.#isMember) this.#dailyCounts.addChange(member, atMs);
      this.#isMember = member;
      assert(nextChangeAt === undefined || nextChangeAt > atMs, "the next change lies ahead");
      atMs = nextChangeAt;
    }
  }
}
