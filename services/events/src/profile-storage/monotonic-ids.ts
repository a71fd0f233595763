// Generates ids that increase strictly within a process, also within a millisecond. Profiles are listed in id
// order, so the list shows the order of creation.
import type { IdSource } from "@muster/core";

/** RFC 9562 allows a counter in the twelve bits after the version digit of a UUIDv7. */
const COUNT_MAX = 0xfff;
const COUNT_START = 15;
const COUNT_END = 18;

/** Source of strictly increasing UUIDv7s. Ids of different processes interleave by millisecond. */
export class MonotonicIds implements IdSource {
  readonly #source: IdSource;
  #lastMs = 0;
  #count = 0;

  constructor(source: IdSource) {
    this.#source = source;
  }

  next<Id extends string = string>(nowMs: number): Id {
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs;
      this.#count = 0;
    } else if (this.#count === COUNT_MAX) {
      // The counter is exhausted, so ids run slightly ahead of the clock, as after a clock was set back.
      this.#lastMs += 1;
      this.#count = 0;
    } else {
      this.#count += 1;
    }
    const id = this.#source.next(this.#lastMs);
    const count = this.#count.toString(16).padStart(COUNT_END - COUNT_START, "0");
    return `${id.slice(0, COUNT_START)}${count}${id.slice(COUNT_END)}` as Id;
  }
}
