// Traits of several profiles as those of one person, and a person's traits with changes. JSON objects as text,
// taken apart at their first level alone; numbers keep the digits they were sent with. Pure.

/** Of a profile, and of a person. */
export const TRAITS_BYTES_MAX = 64 * 1024;

/** A value as it is written, by its name. */
type Entries = Map<string, string>;

/**
 * The first of these objects, with what it lacks from the second, then from the third, and so on. What would
 * make it larger than a profile's traits may be is left out.
 */
export function fillTraits(texts: readonly string[]): string {
  const [first = "{}", ...others] = texts.filter((text) => text !== "{}");
  if (others.length === 0) return first;
  const filled = entriesOf(first);
  let bytes = Buffer.byteLength(first);
  for (const text of others) {
    for (const [name, value] of entriesOf(text)) {
      if (filled.has(name)) continue;
      const added = Buffer.byteLength(JSON.stringify(name)) + Buffer.byteLength(value) + 2;
      if (bytes + added > TRAITS_BYTES_MAX) continue;
      bytes += added;
      filled.set(name, value);
    }
  }
  return textOf(filled);
}

/** `traits` with those of `changes`; a null removes. */
export function changeTraits(traits: string, changes: string): string {
  if (changes === "{}") return traits;
  const changed = entriesOf(traits);
  for (const [name, value] of entriesOf(changes)) {
    if (value === "null") changed.delete(name);
    else changed.set(name, value);
  }
  return textOf(changed);
}

/** Whether a null in `changes` names one of `traits`. */
export function removesTraits(traits: string, changes: string): boolean {
  const had = entriesOf(traits);
  return [...entriesOf(changes)].some(([name, value]) => value === "null" && had.has(name));
}

/** `traits` with one more, or another value of it; as JSON. */
export function withTrait(traits: string, name: string, value: string): string {
  return textOf(entriesOf(traits).set(name, value));
}

function entriesOf(text: string): Entries {
  const object = parse(text, (_name, value, { source }) =>
    typeof value === "number" && source !== undefined ? rawJson(source) : value,
  );
  return new Map(
    Object.entries(object as object).map(([name, value]): [string, string] => [name, JSON.stringify(value)]),
  );
}

function textOf(entries: Entries): string {
  return `{${Array.from(entries, ([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`;
}

/** JSON.parse and JSON.rawJSON as this Node has them: a number's own text is seen, and written. */
const parse = JSON.parse as (
  text: string,
  reviver: (name: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;
const { rawJSON: rawJson } = JSON as unknown as { readonly rawJSON: (source: string) => unknown };
