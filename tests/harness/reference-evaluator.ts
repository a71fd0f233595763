// Evaluates rules as docs/segments.md describes them, straight from JSON and without any code of the product.
// Misunderstandings that the engine shares with its own reference evaluator show up here.

export interface ReferenceEvent {
  readonly name: string;
  readonly ms: number;
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface ReferenceProfile {
  readonly createMs: number;
  readonly traits: Readonly<Record<string, unknown>>;
  readonly events: readonly ReferenceEvent[];
}

// biome-ignore lint/suspicious/noExplicitAny: rules are read as the JSON they are.
type Json = any;

const DAY_MS = 86_400_000;

/** `ruleOf` returns the rule of another segment by its id. */
export function referenceMatches(
  rule: Json,
  profile: ReferenceProfile,
  nowMs: number,
  ruleOf: (segmentId: string) => Json,
): boolean {
  const [[kind, body] = []] = Object.entries<Json>(rule);
  const below = (child: Json): boolean => referenceMatches(child, profile, nowMs, ruleOf);
  const history = profile.events.filter(({ ms }) => ms <= nowMs);
  const those = (name: string | undefined, where?: string) =>
    history
      .filter((event) => (name === undefined || event.name === name) && satisfies(event.properties, where))
      .sort((a, b) => a.ms - b.ms);
  const matching = (matcher: Json) => those(matcher.event_name, matcher.where);
  switch (kind) {
    case "all":
      return body.rules.every(below);
    case "any":
      return body.rules.some(below);
    case "not":
      return !below(body);
    case "performed":
      return compares(body.count, inWindow(matching(body), body.window, nowMs).length);
    case "performed_then_not": {
      const done = those(body.then_not_event_name, body.then_not_where);
      const sinceMs = nowMs - milliseconds(body.held_for ?? "0s");
      return matching(body).some((a) => a.ms <= sinceMs && !done.some((b) => b.ms >= a.ms));
    }
    case "sequence":
      return completions(body, body.steps.map(matching)).some(
        (ms) => inWindow([{ ms }], body.window, nowMs).length > 0,
      );
    case "trait":
      return satisfies(profile.traits, body.where);
    case "in_segment":
      return below(ruleOf(body.segment_id));
    case "inactive_for": {
      const lastMs = history.length === 0 ? profile.createMs : Math.max(...history.map(({ ms }) => ms));
      return lastMs <= nowMs - milliseconds(body.duration);
    }
    case "aggregate":
      return aggregates(body, inWindow(matching(body), body.window, nowMs));
    case "occurrence":
      return occurred(body, body.which === "first" ? matching(body)[0] : matching(body).at(-1), nowMs);
    case "active_days": {
      const days = { days: body.of_last_days, time_zone: body.time_zone };
      const active = inWindow(those(body.event_name), { calendar_days: days }, nowMs);
      return new Set(active.map(({ ms }) => dayNumber(ms, body.time_zone))).size >= body.at_least;
    }
    default:
      throw new Error(`no plain meaning of ${kind}`);
  }
}

/** The instants at which the last step completes a chain, found by trying every chain. */
function completions({ within }: Json, steps: readonly (readonly ReferenceEvent[])[]): number[] {
  let chains = (steps[0] ?? []).map(({ ms }) => ({ startMs: ms, ms }));
  for (const step of steps.slice(1)) {
    const longer = new Map<string, { startMs: number; ms: number }>();
    for (const { startMs, ms } of chains) {
      for (const next of step) {
        const fits = next.ms > ms && next.ms - startMs <= milliseconds(within);
        if (fits) longer.set(`${startMs}/${next.ms}`, { startMs, ms: next.ms });
      }
    }
    chains = [...longer.values()];
  }
  return chains.map(({ ms }) => ms);
}

function aggregates(body: Json, events: readonly ReferenceEvent[]): boolean {
  const numbers = events
    .map(({ properties }) => properties[body.property])
    .filter((value) => typeof value === "number");
  const sum = numbers.reduce((total, number) => total + number, 0);
  const [name] = ["at_least", "more_than", "exactly", "at_most", "less_than"].filter((one) => one in body);
  const value = { sum, average: sum / numbers.length, min: Math.min(...numbers), max: Math.max(...numbers) }[
    body.function as "sum" | "average" | "min" | "max"
  ];
  if (numbers.length === 0 && body.function !== "sum") return false;
  return compares({ [name ?? ""]: body[name ?? ""] }, value);
}

function occurred(body: Json, event: ReferenceEvent | undefined, nowMs: number): boolean {
  if (event === undefined) return false;
  if (body.before !== undefined) return event.ms < Date.parse(body.before);
  if (body.after !== undefined) return event.ms >= Date.parse(body.after);
  return event.ms > nowMs - milliseconds(body.within);
}

function inWindow<Event extends { readonly ms: number }>(
  events: readonly Event[],
  window: Json,
  nowMs: number,
): Event[] {
  return events.filter(({ ms }) => {
    if (window?.last !== undefined) return ms > nowMs - milliseconds(window.last);
    if (window?.between !== undefined) {
      return ms >= Date.parse(window.between.from) && ms < Date.parse(window.between.to);
    }
    if (window?.calendar_days !== undefined) {
      const { days, time_zone } = window.calendar_days;
      return dayNumber(ms, time_zone) > dayNumber(nowMs, time_zone) - days;
    }
    return true;
  });
}

function compares(comparison: Json, observed: number): boolean {
  const [[name, wanted] = []] = Object.entries<number>(comparison);
  if (wanted === undefined) throw new Error("nothing to compare with");
  switch (name) {
    case "at_least":
      return observed >= wanted;
    case "more_than":
      return observed > wanted;
    case "exactly":
      return observed === wanted;
    case "at_most":
      return observed <= wanted;
    default:
      return observed < wanted;
  }
}

/** Supports the few forms that random rules use: comparisons of a field with a constant, joined by &&. */
function satisfies(fields: Readonly<Record<string, unknown>>, where: string | undefined): boolean {
  if (where === undefined) return true;
  return where.split(" && ").every((term) => {
    const [, name = "", operator, constant = ""] = /^\w+\.(\w+) (==|!=|>=|<|>) (.+)$/.exec(term) ?? [];
    const value = fields[name];
    const wanted: unknown = JSON.parse(constant);
    if (value === undefined) return false;
    if (operator === "==") return value === wanted;
    if (operator === "!=") return value !== wanted;
    if (typeof value !== "number" || typeof wanted !== "number") return false;
    return operator === ">=" ? value >= wanted : operator === "<" ? value < wanted : value > wanted;
  });
}

function milliseconds(duration: string): number {
  return Math.round(Number(duration.slice(0, -1)) * 1000);
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Days since 1970-01-01 of the local calendar date. */
function dayNumber(ms: number, timeZone: string): number {
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat("en-CA", { timeZone, dateStyle: "short" });
  formats.set(timeZone, format);
  return Date.parse(`${format.format(ms)}T00:00:00Z`) / DAY_MS;
}
