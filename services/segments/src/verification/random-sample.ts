// Samples items of a stream of unknown length with equal probability (reservoir sampling). Pure: the same
// seed and the same items in the same order give the same sample.
import { SeededRandom } from "@muster/core";

export class RandomSample<Item> {
  readonly #size: number;
  readonly #random: SeededRandom;
  readonly #chosen: Item[] = [];
  #seen = 0;

  constructor(size: number, seed: number) {
    this.#size = size;
    this.#random = new SeededRandom(seed);
  }

  offer(item: Item): void {
    this.#seen += 1;
    if (this.#chosen.length < this.#size) {
      this.#chosen.push(item);
      return;
    }
    const place = this.#random.integer(0, this.#seen - 1);
    if (place < this.#size) this.#chosen[place] = item;
  }

  get chosen(): readonly Item[] {
    return this.#chosen;
  }

  get seen(): number {
    return this.#seen;
  }
}
