// Generates a made-up shop's history in order of time: sign-ins, product views, carts and orders. Pure: the
// same options give the same events.
import { SeededRandom } from "@muster/core";

export interface ShopHistoryOptions {
  /** Number of events. */
  readonly events: number;
  readonly seed: number;
  /** Largest number of shoppers. */
  readonly shoppers: number;
  /** First instant, epoch ms. */
  readonly startMs: number;
  /** Length of the history, in days. */
  readonly days: number;
}

export interface ShopEvent {
  readonly timeMs: number;
  readonly userId: string;
  readonly name: "user.signed_in" | "product.viewed" | "cart.added" | "order.completed";
  readonly sessionId: string;
  /** Unset on sign-ins. */
  readonly product?: ShopProduct;
}

export interface ShopProduct {
  readonly id: string;
  readonly category: string;
  /** With two decimals. */
  readonly price: string;
}

const CATEGORIES = [
  "shoes.women",
  "shoes.men",
  "bags",
  "electronics.audio",
  "electronics.phones",
  "kitchen",
  "books",
];
const DAY_MS = 86_400_000;
const PRODUCTS = 500;
/** Average number of events per session; spreads the requested number over the days. */
const EVENTS_PER_SESSION = 5.4;

/** Yields exactly `events` events, ordered by time; holds only the open sessions in memory. */
export function* shopHistory(options: ShopHistoryOptions): Generator<ShopEvent> {
  const random = new SeededRandom(options.seed);
  const meanGapMs = (options.days * DAY_MS * EVENTS_PER_SESSION) / options.events;
  let nextSessionMs = options.startMs;
  let sessionCount = 0;
  let pending: ShopEvent[] = [];
  for (let emitted = 0; emitted < options.events; ) {
    const first = pending[0];
    if (first !== undefined && first.timeMs <= nextSessionMs) {
      yield first;
      emitted += 1;
      pending.shift();
      continue;
    }
    sessionCount += 1;
    const session = makeSession(random, options.shoppers, nextSessionMs, sessionCount);
    pending = mergeByTime(pending, session);
    nextSessionMs += Math.ceil(random.exponential(meanGapMs));
  }
}

/** The start (00:00 UTC, epoch ms) that places the last event of the history on the day before `nowMs`. */
export function startOfRecentHistory(options: Omit<ShopHistoryOptions, "startMs">, nowMs: number): number {
  let lastMs = 0;
  for (const { timeMs } of shopHistory({ ...options, startMs: 0 })) lastMs = timeMs;
  const today = Math.floor(nowMs / DAY_MS);
  return (today - 1 - Math.floor(lastMs / DAY_MS)) * DAY_MS;
}

/** Invariant: both inputs are ordered by time, and so is the result; ties keep the earlier session first. */
function mergeByTime(left: readonly ShopEvent[], right: readonly ShopEvent[]): ShopEvent[] {
  const merged: ShopEvent[] = [];
  let taken = 0;
  for (const event of right) {
    for (let next = left[taken]; next !== undefined && next.timeMs <= event.timeMs; next = left[taken]) {
      merged.push(next);
      taken += 1;
    }
    merged.push(event);
  }
  return merged.concat(left.slice(taken));
}

function makeSession(random: SeededRandom, shoppers: number, startMs: number, number: number): ShopEvent[] {
  const userId = `shopper-${random.skewed(shoppers) + 1}`;
  const sessionId = `session-${number}`;
  const events: ShopEvent[] = [];
  let timeMs = startMs;
  const add = (name: ShopEvent["name"], product?: ShopProduct): void => {
    events.push({ timeMs, userId, name, sessionId, ...(product === undefined ? {} : { product }) });
    timeMs += 500 + Math.ceil(random.exponential(40_000));
  };
  if (random.chance(0.4)) add("user.signed_in");
  const views = random.integer(1, 6);
  let inCart: ShopProduct | undefined;
  for (let view = 0; view < views; view += 1) {
    const product = makeProduct(random.skewed(PRODUCTS));
    add("product.viewed", product);
    if (random.chance(0.22)) {
      inCart = product;
      add("cart.added", product);
    }
  }
  if (inCart !== undefined && random.chance(0.55)) add("order.completed", inCart);
  return events;
}

function makeProduct(index: number): ShopProduct {
  const category = CATEGORIES[index % CATEGORIES.length] ?? "books";
  return { id: `product-${index + 1}`, category, price: (4.99 + ((index * 37) % 300)).toFixed(2) };
}
