// Generates random segment rules as REST JSON: few names, small counts and short windows, so that rules and
// events often meet.
import type { SeededRandom } from "@muster/core";

export type RuleJson = Readonly<Record<string, unknown>>;

export interface RuleWorld {
  readonly random: SeededRandom;
  /** The instants of `between`, `before` and `after` lie around this instant. */
  readonly nowMs: number;
  /** Segments that a rule may refer to. */
  readonly segmentIds: readonly string[];
}

export const EVENT_NAMES = ["trace.a", "trace.b", "trace.c"];
export const PLANS = ["free", "gold"];
export const COLORS = ["red", "green", "blue"];
const TIME_ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"];
const KINDS = [
  ...["all", "any", "not", "performed", "performed", "performed_then_not", "performed_then_not"],
  ...["sequence", "trait", "in_segment", "inactive_for", "aggregate", "occurrence", "active_days"],
];
const COMBINING = new Set(["all", "any", "not"]);
const COMPARISONS = ["at_least", "more_than", "exactly", "at_most", "less_than"];
const DEPTH_MAX = 3;

/** The kinds of nodes in a rule, itself and below. */
export function kindsIn(rule: RuleJson): string[] {
  const [[kind = "", body] = []] = Object.entries(rule);
  const { rules } = body as { rules?: RuleJson[] };
  const below = kind === "not" ? [body as RuleJson] : (rules ?? []);
  return [kind, ...below.flatMap(kindsIn)];
}

export function randomRule(world: RuleWorld, depth = 1): RuleJson {
  const possible = KINDS.filter(
    (kind) =>
      (depth < DEPTH_MAX || !COMBINING.has(kind)) && (world.segmentIds.length > 0 || kind !== "in_segment"),
  );
  const kind = pick(world.random, possible);
  return { [kind]: bodyOf(kind, world, depth) };
}

function bodyOf(kind: string, world: RuleWorld, depth: number): unknown {
  const { random } = world;
  const children = (): RuleJson[] =>
    Array.from({ length: random.integer(2, 3) }, () => randomRule(world, depth + 1));
  switch (kind) {
    case "all":
    case "any":
      return { rules: children() };
    case "not":
      return randomRule(world, depth + 1);
    case "performed":
      return { ...matcher(random), count: count(random), ...window(world) };
    case "performed_then_not":
      return {
        ...matcher(random),
        then_not_event_name: pick(random, EVENT_NAMES),
        ...maybe(random, 0.3, () => ({ then_not_where: predicate(random) })),
        ...maybe(random, 0.5, () => ({ held_for: seconds(random, 200, 4000) })),
      };
    case "sequence":
      return {
        steps: Array.from({ length: random.integer(2, 3) }, () => matcher(random)),
        within: seconds(random, 500, 20_000),
        ...window(world),
      };
    case "trait":
      return {
        where: pick(random, ['traits.plan == "gold"', "traits.age > 30", 'traits.plan != "gold"']),
      };
    case "in_segment":
      return { segment_id: pick(random, world.segmentIds) };
    case "inactive_for":
      return { duration: seconds(random, 500, 5000) };
    case "aggregate":
      return {
        function: pick(random, ["sum", "average", "min", "max"]),
        ...matcher(random),
        property: "price",
        ...window(world),
        [pick(random, COMPARISONS)]: random.integer(0, 12),
      };
    case "occurrence":
      return { which: pick(random, ["first", "last"]), ...matcher(random), ...occurrence(world) };
    case "active_days":
      return {
        at_least: random.integer(1, 3),
        of_last_days: random.integer(3, 5),
        ...maybe(random, 0.5, () => ({ event_name: pick(random, EVENT_NAMES) })),
        time_zone: pick(random, TIME_ZONES),
      };
    default:
      throw new Error(`no random rules of kind ${kind}`);
  }
}

function matcher(random: SeededRandom): RuleJson {
  return {
    event_name: pick(random, EVENT_NAMES),
    ...maybe(random, 0.3, () => ({ where: predicate(random) })),
  };
}

function predicate(random: SeededRandom): string {
  const color = pick(random, COLORS);
  const price = random.integer(1, 9);
  return pick(random, [
    `properties.color == "${color}"`,
    `properties.price >= ${price}`,
    `properties.color != "${color}" && properties.price < ${price}`,
  ]);
}

function count(random: SeededRandom): RuleJson {
  const comparison = pick(random, COMPARISONS);
  const isZeroRefused = comparison === "at_least" || comparison === "less_than";
  return { [comparison]: random.integer(isZeroRefused ? 1 : 0, 3) };
}

function window(world: RuleWorld): RuleJson {
  const { random, nowMs } = world;
  if (random.chance(0.3)) return {};
  const shape = pick(random, ["last", "last", "between", "calendar_days"]);
  if (shape === "last") return { window: { last: seconds(random, 300, 6000) } };
  if (shape === "calendar_days") {
    const calendar_days = { days: random.integer(1, 3), time_zone: pick(random, TIME_ZONES) };
    return { window: { calendar_days } };
  }
  const fromMs = nowMs + random.integer(-8000, 6000);
  const from = new Date(fromMs).toISOString();
  return { window: { between: { from, to: new Date(fromMs + random.integer(500, 9000)).toISOString() } } };
}

function occurrence({ random, nowMs }: RuleWorld): RuleJson {
  const at = new Date(nowMs + random.integer(-8000, 6000)).toISOString();
  return pick(random, [{ before: at }, { after: at }, { within: seconds(random, 300, 6000) }]);
}

/** A duration in JSON form, in whole milliseconds. */
function seconds(random: SeededRandom, lowMs: number, highMs: number): string {
  return `${(random.integer(lowMs, highMs) / 1000).toFixed(3)}s`;
}

function maybe(random: SeededRandom, probability: number, make: () => RuleJson): RuleJson {
  return random.chance(probability) ? make() : {};
}

export function pick<Item>(random: SeededRandom, items: readonly Item[]): Item {
  const item = items[random.integer(0, items.length - 1)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}
