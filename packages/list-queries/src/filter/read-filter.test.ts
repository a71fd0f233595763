// Tests the language of filters: grammar, limits, types of fields, and positions in errors.
import { AppError } from "@muster/errors";
import { expect, test } from "vitest";
import { type Filter, readFilter } from "./check-filter.ts";
import type { ListFields } from "./list-fields.ts";

const ID = "0190b3c4-0000-7000-8000-000000000001";
const FIELDS: ListFields = {
  id: { type: { kind: "id" }, column: "id" },
  name: { type: { kind: "text" }, column: "name" },
  role: { type: { kind: "enum", values: ["owner", "member"] }, column: "role" },
  verified: { type: { kind: "boolean" }, column: "verified" },
  count: { type: { kind: "integer" }, column: "count" },
  at: { type: { kind: "instant" }, column: "at", isNullable: true },
};

/** The filter as text with every parenthesis. */
function show(filter: Filter | undefined): string {
  if (filter === undefined) return "";
  if (filter.kind !== "comparison") return `(${filter.conditions.map(show).join(` ${filter.kind} `)})`;
  const values = filter.values.map((value) => {
    if (value.kind === "bytes") return value.bytes.toString("latin1");
    return value.kind === "span" ? `${value.span.from}..${value.span.to}` : JSON.stringify(value.pattern);
  });
  return `${filter.field.column}${filter.operator}${values.join("|")}`;
}

const read = (filter: string): string => show(readFilter(filter, FIELDS));

function positionOf(filter: string): number {
  try {
    readFilter(filter, FIELDS);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    expect(error.reason).toBe("FIELD_INVALID");
    expect(error.fields.map(({ field }) => field)).toEqual(["filter"]);
    return Number(error.details.position);
  }
  throw new Error(`${filter} was accepted`);
}

test("operators and their precedence", () => {
  expect(read("count==1;count==2,count==3")).toBe("((count==1..1 and count==2..2) or count==3..3)");
  expect(read("count==1,count==2;count==3")).toBe("(count==1..1 or (count==2..2 and count==3..3))");
  expect(read("(count==1,count==2);count==3")).toBe("((count==1..1 or count==2..2) and count==3..3)");
  expect(read("count==1 and count==2 or count==3")).toBe("((count==1..1 and count==2..2) or count==3..3)");
  expect(read("(count==1)and(count==2)or(count==3)")).toBe("((count==1..1 and count==2..2) or count==3..3)");
  expect(read("count=gt=1;count=ge=1;count=lt=1;count=le=1")).toBe(
    "(((count>1..1 and count>=1..1) and count<1..1) and count<=1..1)",
  );
  expect(read("count!=1;count>1;count>=1;count<1;count<=-1")).toBe(
    "((((count!=1..1 and count>1..1) and count>=1..1) and count<1..1) and count<=-1..-1)",
  );
  expect(read("role=in=(owner,'member');role=out=(owner)")).toBe("(role=in=owner|member and role=out=owner)");
  expect(read("")).toBe("");
  expect(read(" name == jo ;\tcount == 1 ")).toBe('(name==["jo"] and count==1..1)');
});

test("wildcards, escapes and quotes", () => {
  const pattern = (text: string): unknown => JSON.parse(read(`name==${text}`).slice("name==".length));
  expect(pattern("*jo*")).toEqual(["", "jo", ""]);
  expect(pattern("'*jo*'")).toEqual(["", "jo", ""]);
  expect(pattern("\\*jo")).toEqual(["*jo"]);
  expect(pattern("'\\*jo'")).toEqual(["*jo"]);
  expect(pattern("a\\b")).toEqual(["a\\b"]);
  expect(pattern("a\\\\*")).toEqual(["a\\", ""]);
  expect(pattern("'a\\\\*'")).toEqual(["a\\", ""]);
  expect(pattern("'O\\'Brien \\x'")).toEqual(["o'brien x"]);
  expect(pattern(`"O'Brien"`)).toEqual(["o'brien"]);
  expect(pattern('""')).toEqual([""]);
  expect(pattern("100%_")).toEqual(["100%_"]);
  expect(pattern("'and'")).toEqual(["and"]);
  expect(pattern("or")).toEqual(["or"]);
  expect(pattern("'a;b,c)'")).toEqual(["a;b,c)"]);
});

test("text has one key whatever its spelling", () => {
  for (const text of ["ÉA", "éa", "E\u0301a"]) expect(read(`name==${text}`)).toBe('name==["éa"]');
  for (const text of ["ΣΑΣ", "σας", "σασ"]) expect(read(`name==${text}`)).toBe('name==["σασ"]');
  expect(read("name==\u212a")).toBe('name==["k"]');
});

test("dates are days, times need a zone", () => {
  const day = Date.UTC(2025, 0, 1);
  expect(read("at>=2025-01-01")).toBe(`at>=${day}..${day + 86_399_999}`);
  expect(read("at==2025-01-01T00:00:00Z")).toBe(`at==${day}..${day}`);
  expect(read("at==2025-01-01T02:30:00.5+02:30")).toBe(`at==${day + 500}..${day + 500}`);
  expect(read("at==2025-01-01T00:00:00.0001Z")).toBe(`at==${day + 1}..${day}`);
  expect(read("at==2024-02-29")).toBe(`at==${Date.UTC(2024, 1, 29)}..${Date.UTC(2024, 1, 29) + 86_399_999}`);
  for (const bad of [
    "2025-01-01T00:00:00",
    "2025-02-29",
    "2025-13-01",
    "2025-04-31",
    "2025-01-01T24:00:00Z",
  ]) {
    expect(positionOf(`at==${bad}`), bad).toBe(4);
  }
  for (const bad of ["1735689600", "today", "2025-1-1", "0000-01-01", '""', "2025-01-01T00:00:60Z"]) {
    expect(positionOf(`at==${bad}`), bad).toBe(4);
  }
});

test("values of other types", () => {
  expect(read(`id==${ID}`)).toContain("id==");
  expect(read("verified==true,verified=='false'")).toBe("(verified==1..1 or verified==0..0)");
  const bad = ["verified==True", "verified==1", "verified==yes", "verified==''", "count==1.5", "count==1e2"];
  const more = ["count==9007199254740992", "role==Owner", "role==admin", `id==${ID.toUpperCase()}`, "id==x"];
  for (const filter of [...bad, ...more]) {
    expect(positionOf(filter), filter).toBe(filter.indexOf("=") + 2);
  }
  const wildcards = ["role==own*", "count==*", "at==2025*", "verified==*", "id==0*"];
  for (const filter of wildcards) expect(positionOf(filter), filter).toBe(filter.indexOf("=") + 2);
  expect(positionOf("name>jo*")).toBe(5);
  expect(positionOf("role>owner")).toBe(4);
  expect(positionOf("verified=le=true")).toBe(8);
});

test("lists belong to =in= and =out=", () => {
  expect(positionOf("role=in=owner")).toBe(8);
  expect(positionOf("role==(owner,member)")).toBe(7);
  expect(positionOf("role=in=()")).toBe(9);
  expect(positionOf("role=in=(owner")).toBe(14);
  expect(positionOf("role=in=(owner or member)")).toBe(15);
  expect(positionOf("role=in=(owner;member)")).toBe(14);
});

test("syntax errors have the position of the token, in code points", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["name=='x';drop", 14],
    ["name=='x';drop table", 15],
    ["password_hash==x", 0],
    ["constructor==x", 0],
    ["__proto__==x", 0],
    ["name='x'", 4],
    ["name~x", 4],
    ["name=like=x", 4],
    ["name==", 6],
    ["name==jo hn", 9],
    ["name==jo AND count==1", 9],
    ["name==O'Brien", 7],
    ["name=='x", 6],
    ["name==x;;count==1", 8],
    ["name==x)", 7],
    ["((name==x)", 10],
    [";", 0],
    ["()", 1],
    [" ", 1],
    ["'name'==x", 0],
    ["==x", 0],
    ["name==💥;count==💥", 15],
    ["name=='💥💥';nope==1", 11],
  ];
  for (const [filter, position] of cases) expect(positionOf(filter), filter).toBe(position);
});

test("limits", () => {
  const nested = (depth: number): string => `${"(".repeat(depth)}name==x${")".repeat(depth)}`;
  expect(read(nested(10))).toBe('name==["x"]');
  expect(positionOf(nested(11))).toBe(10);
  expect(positionOf("(".repeat(2_000))).toBe(10);
  expect(positionOf("(".repeat(1_000_000))).toBe(2_000);
  // Depth is of nested parentheses: parentheses side by side and lists add none.
  expect(read(Array.from({ length: 20 }, () => "(role=in=(owner))").join(";"))).toContain("role=in=owner");
  const comparisons = (count: number): string => Array.from({ length: count }, () => "count==1").join(";");
  expect(read(comparisons(50))).toContain("count==1..1");
  expect(positionOf(comparisons(51))).toBe(50 * 9 + 5);
  const list = (count: number): string => `count=in=(${Array.from({ length: count }, () => "1").join(",")})`;
  expect(read(`${list(100)};${list(100)}`)).toContain("count=in=");
  expect(positionOf(list(101))).toBe(10 + 200);
  expect(read(`name==${"💥".repeat(1_994)}`)).toContain("name==");
  expect(positionOf(`name==${"x".repeat(1_995)}`)).toBe(2_000);
});
