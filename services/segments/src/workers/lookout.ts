// When a worker looks for work next: at once if it was asked to, else when it said.

export class Lookout {
  #isAsked = true;
  #nextMs = 0;

  /** Never lost, even if a look is under way that began before. */
  ask(): void {
    this.#isAsked = true;
  }

  get nextMs(): number {
    return this.#isAsked ? 0 : this.#nextMs;
  }

  /** A look begins: what is asked from here on is for the next one. */
  begin(): void {
    this.#isAsked = false;
    this.#nextMs = 0;
  }

  restUntil(ms: number): void {
    this.#nextMs = ms;
  }

  /** Until somebody asks. */
  rest(): void {
    this.#nextMs = Number.POSITIVE_INFINITY;
  }
}
