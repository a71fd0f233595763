// Filters and sorts rows by plain comparisons, as a reference for SQL. Draws random rows, filters and sorts.
import fc from "fast-check";

export interface Row {
  readonly id: string;
  readonly name: string;
  readonly role: "owner" | "member";
  readonly verified: boolean;
  readonly count: number;
  readonly at: number | undefined;
}

export type PlainFilter =
  | { readonly kind: "and" | "or"; readonly left: PlainFilter; readonly right: PlainFilter }
  | PlainComparison;

interface PlainComparison {
  readonly kind: "comparison";
  readonly name: "name" | "role" | "verified" | "count" | "at";
  readonly operator: string;
  readonly values: readonly string[];
}

const DAY_MS = 86_400_000;
const DAY = Date.UTC(2025, 0, 1);
const TEXTS = [
  "",
  "a",
  "A",
  "b",
  "ab",
  "Ba",
  "%",
  "_",
  "\\",
  "*",
  "'",
  '"',
  "é",
  "E\u0301",
  "ß",
  "💥",
  " ",
  "|",
  "and",
];
const anyText = fc.array(fc.constantFrom(...TEXTS), { maxLength: 3 }).map((parts) => parts.join(""));
const anyTime = fc.constantFrom(DAY - 1, DAY, DAY + 1, DAY + DAY_MS - 1, DAY + DAY_MS);

export const anyRow: fc.Arbitrary<Omit<Row, "id">> = fc.record({
  name: anyText,
  role: fc.constantFrom("owner" as const, "member" as const),
  verified: fc.boolean(),
  count: fc.integer({ min: -1, max: 3 }),
  at: fc.option(anyTime, { nil: undefined }),
});

const EQUALS = ["==", "!=", "=in=", "=out="];
const ALL = [...EQUALS, "<", "<=", ">", ">=", "=lt=", "=le=", "=gt=", "=ge="];

/** A quoted value in which each letter may be a wildcard. */
const anyPattern = fc
  .array(fc.oneof(fc.constant("*"), fc.constantFrom(...TEXTS).map(escaped)), { maxLength: 4 })
  .map((parts) => `'${parts.join("")}'`);
const exactText = anyText.map((text) => `'${escaped(text)}'`);
const anyInstant = fc.oneof(
  fc.constantFrom("2024-12-31", "2025-01-01", "2025-01-02", "2025-01-01T00:00:00.0001Z"),
  anyTime.map((ms) => new Date(ms).toISOString()),
  anyTime.map((ms) => new Date(ms + 5_400_000).toISOString().replace("Z", "+01:30")),
);

function comparison(
  name: PlainComparison["name"],
  operators: readonly string[],
  value: fc.Arbitrary<string>,
): fc.Arbitrary<PlainFilter> {
  return fc.constantFrom(...operators).chain((operator) => {
    const isList = operator === "=in=" || operator === "=out=";
    return fc
      .array(value, { minLength: 1, maxLength: isList ? 3 : 1 })
      .map((values): PlainFilter => ({ kind: "comparison", name, operator, values }));
  });
}

const ORDERS = ALL.filter((operator) => !EQUALS.includes(operator));
const anyComparison = fc.oneof(
  comparison("name", EQUALS, anyPattern),
  comparison("name", ORDERS, exactText),
  comparison("role", EQUALS, fc.constantFrom("owner", "'member'")),
  comparison("verified", EQUALS, fc.constantFrom("true", "false")),
  comparison("count", ALL, fc.integer({ min: -1, max: 3 }).map(String)),
  comparison("at", ALL, anyInstant),
);

export const anyFilter: fc.Arbitrary<PlainFilter> = fc.letrec<{ filter: PlainFilter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    anyComparison,
    fc.record({
      kind: fc.constantFrom("and" as const, "or" as const),
      left: tie("filter"),
      right: tie("filter"),
    }),
  ),
})).filter;

export const anySort: fc.Arbitrary<string> = fc
  .uniqueArray(fc.constantFrom("name", "role", "verified", "count", "at", "id"), { maxLength: 3 })
  .chain((names) => fc.tuple(...names.map((name) => fc.constantFrom(name, `-${name}`))))
  .map((keys) => keys.join(","));

function escaped(text: string): string {
  return text.replace(/[\\*']/g, "\\$&");
}

export function printFilter(filter: PlainFilter): string {
  if (filter.kind === "comparison") {
    const { name, operator, values } = filter;
    return operator === "=in=" || operator === "=out="
      ? `${name}${operator}(${values.join(",")})`
      : `${name}${operator}${values.join()}`;
  }
  return `(${printFilter(filter.left)}${filter.kind === "and" ? ";" : " or "}${printFilter(filter.right)})`;
}

export function matchesRow(filter: PlainFilter, row: Row): boolean {
  if (filter.kind !== "comparison") {
    const [left, right] = [matchesRow(filter.left, row), matchesRow(filter.right, row)];
    return filter.kind === "and" ? left && right : left || right;
  }
  const { operator, values } = filter;
  const equals = values.some((value) => isEqual(filter.name, value, row));
  if (operator === "==" || operator === "=in=") return equals;
  if (operator === "!=" || operator === "=out=") return !equals;
  const order = orderOf(filter.name, values[0] ?? "", row);
  if (order === undefined) return false;
  if (operator === "<" || operator === "=lt=") return order < 0;
  if (operator === ">" || operator === "=gt=") return order > 0;
  return operator === "<=" || operator === "=le=" ? order <= 0 : order >= 0;
}

function isEqual(name: PlainComparison["name"], value: string, row: Row): boolean {
  if (name === "name") return patternRegExp(value).test(keyOf(row.name));
  if (name === "at") return orderOf(name, value, row) === 0;
  return String(row[name]) === value.replaceAll("'", "");
}

/** Whether the row's value lies before (-1), in (0) or after (1) the value. */
function orderOf(name: PlainComparison["name"], value: string, row: Row): number | undefined {
  if (name === "count") return Math.sign(row.count - Number(value));
  if (name === "name") {
    const text = keyOf(value.slice(1, -1).replace(/\\(.)/gu, "$1"));
    return Buffer.compare(Buffer.from(keyOf(row.name)), Buffer.from(text));
  }
  if (row.at === undefined) return undefined;
  if (value.length === 10) {
    const start = Date.parse(value);
    return row.at < start ? -1 : Number(row.at >= start + DAY_MS);
  }
  // Date drops what is finer than a millisecond.
  const isFiner = value.includes(".0001");
  return Math.sign(row.at - Date.parse(value)) || (isFiner ? -1 : 0);
}

function patternRegExp(quoted: string): RegExp {
  const body = keyOf(quoted.slice(1, -1));
  const source = body.replace(
    /\\(.)|(\*)|([^\\*])/gsu,
    (_, escaped?: string, star?: string, plain?: string) =>
      star === undefined ? literal(escaped ?? plain ?? "") : ".*",
  );
  return new RegExp(`^${source}$`, "su");
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

function keyOf(text: string): string {
  return text.normalize("NFC").toLowerCase();
}

export function compareRows(sort: string, a: Row, b: Row): number {
  for (const key of [...sort.split(",").filter((key) => key !== ""), "id"]) {
    const order = compareValues(key.replace("-", "") as keyof Row, a, b);
    if (order !== 0) return key.startsWith("-") ? -order : order;
  }
  return 0;
}

function compareValues(name: keyof Row, a: Row, b: Row): number {
  if (name === "at") return (a.at ?? -Infinity) === (b.at ?? -Infinity) ? 0 : (a.at ?? -1) - (b.at ?? -1);
  if (name === "count" || name === "verified") return Number(a[name]) - Number(b[name]);
  const [left, right] = name === "name" ? [keyOf(a.name), keyOf(b.name)] : [a[name], b[name]];
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
