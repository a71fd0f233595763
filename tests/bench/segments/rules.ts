// Defines a hundred segments of mixed kinds over the history of the shop.

export type RuleJson = Readonly<Record<string, unknown>>;

export interface NamedRule {
  readonly name: string;
  readonly rule: RuleJson;
}

const days = (count: number) => ({ last: `${count * 86_400}s` });

/** Segments of a kind differ in the counted events, not in the structure. */
const KINDS: readonly ((n: number) => RuleJson)[] = [
  // Profiles that viewed women's shoes three times in the last week, and similar rules.
  (n) => ({
    performed: {
      event_name: "product.viewed",
      where: `properties.category == "shoes.women" && properties.price > ${5 * (n % 20)}`,
      count: { at_least: 3 },
      window: days(7),
    },
  }),
  (n) => ({ performed: { event_name: "product.viewed", count: { at_least: 2 + n }, window: days(7 + n) } }),
  (n) => ({ performed: { event_name: "order.completed", count: { at_least: 1 + (n % 4) } } }),
  () => ({ performed_then_not: { event_name: "cart.added", then_not_event_name: "order.completed" } }),
  (n) => ({
    performed_then_not: {
      event_name: "cart.added",
      then_not_event_name: "order.completed",
      held_for: `${3600 * (1 + n)}s`,
    },
  }),
  (n) => ({
    all: {
      rules: [
        { performed: { event_name: "order.completed", count: { at_least: 2 } } },
        {
          not: { performed: { event_name: "order.completed", count: { at_least: 1 }, window: days(10 + n) } },
        },
      ],
    },
  }),
  (n) => ({
    sequence: {
      steps: [
        { event_name: "product.viewed" },
        { event_name: "cart.added" },
        { event_name: "order.completed" },
      ],
      within: `${86_400 * (1 + n)}s`,
    },
  }),
  (n) => ({
    aggregate: {
      function: "sum",
      event_name: "order.completed",
      property: "price",
      window: days(30 + n),
      at_least: 200,
    },
  }),
  (n) => ({ inactive_for: { duration: `${86_400 * (3 + n)}s` } }),
  (n) => ({ trait: { where: `traits.plan == "gold" && traits.age >= ${20 + n}` } }),
];

/** Returns `count` rules and alternates the kinds. */
export function mixedRules(count: number): NamedRule[] {
  return Array.from({ length: count }, (_, index) => {
    const kind = KINDS[index % KINDS.length];
    if (kind === undefined) throw new Error("no kinds");
    return { name: `Mixed ${index}`, rule: kind(Math.floor(index / KINDS.length)) };
  });
}

/** The count segments that are compared with the baseline. */
/** A segment with few members. A query over raw events must count the events of all profiles. */
export const RARE_SEGMENT = { name: "Collectors", event_name: "product.viewed", min_count: 120 };

export const COUNT_SEGMENTS = [
  { name: "Viewers", event_name: "product.viewed", min_count: 3, within_days: 7 },
  { name: "Buyers", event_name: "order.completed", min_count: 2, within_days: 30 },
  { name: "Ever carted", event_name: "cart.added", min_count: 5 },
] as const;
