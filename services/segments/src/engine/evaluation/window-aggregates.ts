// Keeps the aggregates of moving windows while time moves forward. Each number enters and leaves a window once,
// so a replay of n events takes n steps for each window instead of n².
import { addExactly, type Partials, roundedSum } from "../facts/exact-sum.ts";
import type { LoggedValue, ValueLog } from "../facts/value-facts.ts";
import { type Aggregate, compare } from "../rule/rule.ts";
import { leavesAt, type MovingWindow, windowStart } from "../rule/window.ts";
import type { Evaluation, WindowEvaluator } from "./evaluation.ts";

/** The windows of one profile, by leaf. */
export class WindowAggregates implements WindowEvaluator {
  readonly #byLeaf = new Map<Aggregate, WindowAggregate>();

  /**
   * Evaluates a leaf as `evaluateAggregate` does, but `nextChangeAt` may be too early.
   * Invariant: `nowMs` never falls, and numbers are only appended to the log and removed from its start.
   */
  evaluate(leaf: Aggregate, window: MovingWindow, facts: ValueLog | undefined, nowMs: number): Evaluation {
    let aggregate = this.#byLeaf.get(leaf);
    if (aggregate === undefined) {
      aggregate = new WindowAggregate(leaf, window);
      this.#byLeaf.set(leaf, aggregate);
    }
    return aggregate.evaluate(facts, nowMs);
  }
}

const NO_NUMBERS: readonly LoggedValue[] = [];

class WindowAggregate {
  readonly #leaf: Aggregate;
  readonly #window: MovingWindow;
  /** The numbers in the window, oldest first. */
  readonly #numbers = new Queue<LoggedValue>();
  /**
   * For a minimum or maximum: the numbers that no later number beats, oldest first. The first is the result.
   */
  readonly #best = new Queue<LoggedValue>();
  readonly #sum: Partials = [];
  #negatives = 0;
  /** The last number that was taken from the log, even after the number has left the window. */
  #newest: LoggedValue | undefined;

  constructor(leaf: Aggregate, window: MovingWindow) {
    this.#leaf = leaf;
    this.#window = window;
  }

  evaluate(facts: ValueLog | undefined, nowMs: number): Evaluation {
    const log = facts?.log ?? NO_NUMBERS;
    const startMs = windowStart(this.#window, nowMs);
    this.#append(log);
    // The log may have dropped numbers of the window, at its size limit.
    for (let oldest = this.#numbers.first; oldest !== undefined; oldest = this.#numbers.first) {
      if (oldest[0] >= startMs && this.#numbers.size <= log.length) break;
      this.#remove(oldest);
    }
    const value = this.#value();
    const member =
      value !== undefined && compare(this.#leaf.comparison.kind, value, this.#leaf.comparison.value);
    const deciding = this.#mayChange(member) ? (this.#best.first ?? this.#numbers.first) : undefined;
    return {
      member,
      nextChangeAt: deciding && leavesAt(this.#window, deciding[0]),
      isExact: facts?.truncatedMs === undefined || facts.truncatedMs < startMs,
      evidence: { kind: "aggregate", value, count: this.#numbers.size },
    };
  }

  #append(log: readonly LoggedValue[]): void {
    let index = log.length;
    while (index > 0 && log[index - 1] !== this.#newest) index -= 1;
    for (; index < log.length; index += 1) {
      const logged = log[index];
      if (logged !== undefined) this.#add(logged);
    }
  }

  #add(logged: LoggedValue): void {
    const [, value] = logged;
    this.#newest = logged;
    this.#numbers.push(logged);
    if (value < 0) this.#negatives += 1;
    if (this.#readsSum) addExactly(this.#sum, value);
    else {
      const isBeaten = (other: number): boolean =>
        this.#leaf.function === "min" ? other >= value : other <= value;
      for (let last = this.#best.last; last !== undefined && isBeaten(last[1]); last = this.#best.last) {
        this.#best.pop();
      }
      this.#best.push(logged);
    }
  }

  #remove(oldest: LoggedValue): void {
    const [, value] = oldest;
    this.#numbers.shift();
    if (value < 0) this.#negatives -= 1;
    if (this.#readsSum) addExactly(this.#sum, -value);
    else if (this.#best.first === oldest) this.#best.shift();
  }

  #value(): number | undefined {
    const { size } = this.#numbers;
    if (this.#leaf.function === "sum") return roundedSum(this.#sum);
    if (size === 0) return undefined;
    return this.#leaf.function === "average" ? roundedSum(this.#sum) / size : this.#best.first?.[1];
  }

  /** A sum without negative numbers only falls as numbers leave the window. */
  #mayChange(member: boolean): boolean {
    if (this.#leaf.function !== "sum" || this.#negatives > 0) return true;
    const { kind } = this.#leaf.comparison;
    if (kind === "at_least" || kind === "more_than") return member;
    return kind === "exactly" || !member;
  }

  get #readsSum(): boolean {
    return this.#leaf.function === "sum" || this.#leaf.function === "average";
  }
}

/** Removed items stay in the array until they are half of it. */
class Queue<Item> {
  #items: Item[] = [];
  #start = 0;

  get size(): number {
    return this.#items.length - this.#start;
  }

  get first(): Item | undefined {
    return this.#items[this.#start];
  }

  get last(): Item | undefined {
    return this.size === 0 ? undefined : this.#items.at(-1);
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  pop(): void {
    if (this.size > 0) this.#items.pop();
  }

  shift(): void {
    if (this.size === 0) return;
    this.#start += 1;
    if (this.#start * 2 <= this.#items.length) return;
    this.#items = this.#items.slice(this.#start);
    this.#start = 0;
  }
}
