// Evaluates alert rules in the simplest way: each action is compared with the whole history.

export interface ReferenceAction {
  readonly name: string;
  /** A decimal with at most two digits after the dot. */
  readonly amount: string;
  /** Seconds. */
  readonly time: number;
}

export type ReferenceRule = { readonly code: number; readonly eventName: string } & (
  | { readonly kind: "threshold"; readonly threshold: string }
  | { readonly kind: "consecutive"; readonly otherEventNames: readonly string[]; readonly count: number }
  | { readonly kind: "rising"; readonly count: number }
  | { readonly kind: "window_sum"; readonly threshold: string; readonly windowSeconds: number }
);

const FOUR_RULES: readonly ReferenceRule[] = [
  { code: 30, kind: "consecutive", eventName: "withdraw", otherEventNames: ["deposit"], count: 3 },
  { code: 123, kind: "window_sum", eventName: "deposit", threshold: "200", windowSeconds: 30 },
  { code: 300, kind: "rising", eventName: "deposit", count: 3 },
  { code: 1100, kind: "threshold", eventName: "withdraw", threshold: "100" },
];

/** Records the actions of a person in order of arrival and returns the fired codes. */
export class ReferenceAlerts {
  readonly #rules: readonly ReferenceRule[];
  readonly #actions: ReferenceAction[] = [];

  constructor(rules: readonly ReferenceRule[] = FOUR_RULES) {
    this.#rules = rules;
  }

  record(action: ReferenceAction): number[] {
    this.#actions.push(action);
    const evaluated = this.#rules.filter(({ eventName }) => eventName === action.name);
    const fired = evaluated.filter((rule) => this.#matches(rule, action));
    return fired.map(({ code }) => code).sort((a, b) => a - b);
  }

  #matches(rule: ReferenceRule, action: ReferenceAction): boolean {
    // The sort is stable: of two actions at the same time, the earlier arrival stays first.
    const history = this.#actions.toSorted((a, b) => a.time - b.time);
    switch (rule.kind) {
      case "threshold":
        return cents(action.amount) > cents(rule.threshold);
      case "consecutive": {
        const family = history.filter(({ name }) => [rule.eventName, ...rule.otherEventNames].includes(name));
        const latest = family.slice(-rule.count);
        return latest.length === rule.count && latest.every(({ name }) => name === rule.eventName);
      }
      case "rising": {
        const latest = history.filter(({ name }) => name === rule.eventName).slice(-rule.count);
        const amounts = latest.map(({ amount }) => cents(amount));
        return (
          amounts.length === rule.count &&
          amounts.every((amount, at) => at === 0 || amount > (amounts[at - 1] ?? 0n))
        );
      }
      case "window_sum": {
        const within = history.filter(
          ({ name, time }) =>
            name === rule.eventName && time >= action.time - rule.windowSeconds && time <= action.time,
        );
        return within.reduce((sum, { amount }) => sum + cents(amount), 0n) > cents(rule.threshold);
      }
    }
  }
}

function cents(decimal: string): bigint {
  const [whole = "", fraction = ""] = decimal.split(".");
  return BigInt(whole + fraction.padEnd(2, "0"));
}
