// Generates the events of the benchmarks: about 215 bytes of properties, with a skewed distribution over
// users.

const USERS = 10_000;
const START_MS = Date.UTC(2026, 0, 1);

export interface BenchEvent {
  readonly user_id: string;
  readonly name: string;
  readonly timestamp: string;
  readonly event_id: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/**
 * Returns the n-th event of a run. The same arguments return the same event; a run never repeats an event.
 */
export function benchEvent(run: string, n: number): BenchEvent {
  const user = Math.floor(USERS * (((n * 2_654_435_761) % 4_294_967_296) / 4_294_967_296) ** 2);
  return {
    user_id: `user-${user}`,
    name: n % 3 === 0 ? "product.viewed" : n % 3 === 1 ? "cart.added" : "page.viewed",
    timestamp: new Date(START_MS + n).toISOString(),
    event_id: `${run}-${n}`,
    properties: {
      product_id: `product-${n % 500}`,
      category: "shoes.women",
      price: 35.79,
      currency: "EUR",
      path: "/shop/shoes/women/trainers",
      referrer: "https://shop.example.test/search?q=trainers",
      session_id: `session-${n >> 3}`,
      position: n % 24,
    },
  };
}

export function benchBatch(run: string, batch: number, size: number): BenchEvent[] {
  return Array.from({ length: size }, (_, index) => benchEvent(run, batch * size + index));
}
