// Defines the actions of an alert history and their order. Pure.

/** The order of an action among the actions of the person: by instant, then by arrival. */
export interface ActionOrder {
  /** Exact milliseconds since 1970, beyond the year 9999 too. */
  readonly orderMs: bigint;
  /** Rises with each action of the person. */
  readonly arrival: number;
}

/** An action of a series as stored. The amount is 0 when the series has no property. */
export interface HistoryAction extends ActionOrder {
  readonly amount: bigint;
}

/** Compares by instant, then by arrival. */
export function compareActionOrder(a: ActionOrder, b: ActionOrder): number {
  return a.orderMs < b.orderMs ? -1 : a.orderMs > b.orderMs ? 1 : a.arrival - b.arrival;
}
