// How memberships would have gone: one profile's events under a rule, with the clock moved from instant to
// instant at which its answer may change. Pure.
import { assert } from "@muster/core";
import type { EngineEvent, EngineProfile } from "../engine/profile-state.ts";
import type { Trial, TrialProfile } from "../preview/trial.ts";

const DAY_MS = 86_400_000;

export interface DayTally {
  entries: number;
  exits: number;
}

/** What all profiles' replays come to. */
export class Tallies {
  /** When the first UTC day began. */
  readonly startMs: number;
  readonly nowMs: number;
  readonly days: readonly DayTally[];
  membersBefore = 0;

  /** The last `days` UTC days, that of `nowMs` included. */
  constructor(nowMs: number, days: number) {
    this.nowMs = nowMs;
    this.startMs = Math.floor(nowMs / DAY_MS) * DAY_MS - (days - 1) * DAY_MS;
    this.days = Array.from({ length: days }, () => ({ entries: 0, exits: 0 }));
  }

  changed(member: boolean, ms: number): void {
    const day = this.days[Math.floor((ms - this.startMs) / DAY_MS)];
    if (day === undefined) this.membersBefore += member ? 1 : -1;
    else if (member) day.entries += 1;
    else day.exits += 1;
  }

  dateOf(day: number): string {
    return new Date(this.startMs + day * DAY_MS).toISOString().slice(0, 10);
  }
}

/** Events come in the order in which they happened; those of one instant count together. */
export class Replay {
  readonly #profile: TrialProfile;
  readonly #tallies: Tallies;
  /** The instant of the events noted last, not yet decided. */
  #pendingMs: number | undefined;
  #isMember = false;

  constructor(trial: Trial, profile: EngineProfile, tallies: Tallies) {
    this.#profile = trial.begin(profile);
    this.#tallies = tallies;
  }

  note(event: EngineEvent): void {
    const [ms] = event.instant;
    if (ms > this.#tallies.nowMs) return;
    if (ms !== this.#pendingMs) this.#passUntil(ms);
    this.#pendingMs = ms;
    this.#profile.note(event, ms);
  }

  finish(): void {
    this.#passUntil(this.#tallies.nowMs + 1);
  }

  /** Decides what was noted, and follows the time up to, but not at, `endMs`. */
  #passUntil(endMs: number): void {
    const { startMs } = this.#tallies;
    // A profile is there from its creation or, if they are dated before that, from its first event on. What
    // went on before the first day matters only in what it came to.
    let atMs: number | undefined = Math.max(this.#pendingMs ?? this.#profile.createMs, startMs - 1);
    while (atMs !== undefined && atMs < endMs) {
      const { member, nextChangeAt } = this.#profile.decide(atMs);
      if (member !== this.#isMember) this.#tallies.changed(member, atMs);
      this.#isMember = member;
      assert(nextChangeAt === undefined || nextChangeAt > atMs, "the next change lies ahead");
      atMs = nextChangeAt;
    }
  }
}
