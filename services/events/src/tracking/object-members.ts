// A JSON object's text with members put into it, its numbers as they were written. Pure.

/** JSON.parse and JSON.rawJSON as this Node has them: the reviver also sees a number's own text. */
const json = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
};

/** `text` is a checked JSON object. Members that are empty are left out; the others replace those of their names. */
export function withMembers(text: string, members: Readonly<Record<string, string>>): string {
  const added = Object.entries(members).filter(([, value]) => value !== "");
  if (added.length === 0) return text;
  if (text === "{}") return JSON.stringify(Object.fromEntries(added));
  const kept = json.parse(text, (_key, value, { source }) =>
    typeof value === "number" ? json.rawJSON(source) : value,
  );
  return JSON.stringify({ ...(kept as object), ...Object.fromEntries(added) });
}
