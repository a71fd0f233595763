// Combines and changes traits. Traits are JSON objects as text; only the first level is parsed, and numbers
// keep the digits of the request. Pure.

/** Maximum size of the traits of a profile and of a profile group. */
export const TRAITS_BYTES_MAX = 64 * 1024;

/** JSON text of each value, by trait name. */
type Entries = Map<string, string>;

/**
 * Returns the first object with missing traits filled from the second object, then from the third, and so on.
 * Traits that would exceed the size limit of a profile are omitted.
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

/** Returns `traits` with the changes applied; null removes a trait. */
export function changeTraits(traits: string, changes: string): string {
  if (changes === "{}") return traits;
  const changed = entriesOf(traits);
  for (const [name, value] of entriesOf(changes)) {
    if (value === "null") changed.delete(name);
    else changed.set(name, value);
  }
  return textOf(changed);
}

/** Whether `changes` removes one of `traits`. */
export function removesTraits(traits: string, changes: string): boolean {
  if (traits === "{}") return false;
  const had = entriesOf(traits);
  return [...entriesOf(changes)].some(([name, value]) => value === "null" && had.has(name));
}

/** Returns `traits` with one trait added or replaced; `value` is JSON text. */
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

/** JSON.parse and JSON.rawJSON of Node 24: they read and write the source text of a number. */
const parse = JSON.parse as (
  text: string,
  reviver: (name: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;
const { rawJSON: rawJson } = JSON as unknown as { readonly rawJSON: (source: string) => unknown };
