// Ids of new profiles: those made by one process rise, also within a millisecond, so that the order of
// ids, by which profiles are listed, is the order in which they came.
import type { IdSource } from "@muster/core";

/** UUIDv7 has twelve bits after its version digit, which RFC 9562 lets us count in. */
const COUNT_MAX = 0xfff;
const COUNT_START = 15;
const COUNT_END = 18;

export class RisingIds implements IdSource {
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
      // A little ahead of the clock, as after a clock that was set back.
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
