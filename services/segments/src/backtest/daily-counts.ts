// Counts the entries and exits of all replayed profiles by day. Pure.

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

  /** Adds the changes of one profile. */
  add({ wasMemberBefore, byDay }: ProfileChanges): void {
    if (wasMemberBefore) this.membersBefore += 1;
    for (const [index, { entries, exits }] of byDay) {
      const day = this.days[index];
      if (day === undefined) continue;
      day.entries += entries;
      day.exits += exits;
    }
  }

  dateOf(day: number): string {
    return new Date(this.startMs + day * DAY_MS).toISOString().slice(0, 10);
  }
}

/** The changes of one profile. A profile that is cut off by a limit adds nothing. */
export class ProfileChanges {
  wasMemberBefore = false;
  /** By index of the day. */
  readonly byDay = new Map<number, DayCounts>();
  readonly #startMs: number;

  constructor({ startMs }: DailyCounts) {
    this.#startMs = startMs;
  }

  add(member: boolean, ms: number): void {
    const index = Math.floor((ms - this.#startMs) / DAY_MS);
    if (index < 0) {
      this.wasMemberBefore = member;
      return;
    }
    let day = this.byDay.get(index);
    if (day === undefined) {
      day = { entries: 0, exits: 0 };
      this.byDay.set(index, day);
    }
    if (member) day.entries += 1;
    else day.exits += 1;
  }
}
