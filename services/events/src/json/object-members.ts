// Adds members to a JSON object given as text and keeps the source text of numbers. Pure.

/** JSON.parse and JSON.rawJSON of Node 24: the reviver receives the source text of a number. */
const json = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
};

/** Returns the valid JSON object `text` with the non-empty members added or replaced. */
export function withMembers(text: string, members: Readonly<Record<string, string>>): string {
  const added = Object.entries(members).filter(([, value]) => value !== "");
  if (added.length === 0) return text;
  if (text === "{}") return JSON.stringify(Object.fromEntries(added));
  const kept = json.parse(text, (_key, value, { source }) =>
    typeof value === "number" ? json.rawJSON(source) : value,
  );
  return JSON.stringify({ ...(kept as object), ...Object.fromEntries(added) });
}
