// Tests the results of predicates on plain and on hostile data.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compilePredicate } from "./predicate.ts";

const DATA = {
  price: 12.5,
  qty: 3,
  name: "Shoes – Größe 42 👟",
  paid: true,
  nothing: null,
  tags: ["new", "women"],
  items: [{ sku: "a", price: 5 }, { sku: "b", price: 15 }, { sku: "c" }],
  address: { city: "Bern", "zip code": "3000" },
  noDay: "2026-02-29T00:00:00Z",
  ordered: "2026-03-01T10:00:00Z",
  delivered: "2026-03-03T12:30:00.5+02:00",
};

function evaluate(source: string, data: object = DATA): boolean | "problem" {
  const result = compilePredicate(source, "event").evaluate({ ...data });
  if (result.problem !== undefined) expect(result.holds).toBe(false);
  return result.problem === undefined ? result.holds : "problem";
}

const EXPECTATIONS: Record<string, [source: string, expected: boolean | "problem"][]> = {
  "numbers are doubles, however they are written": [
    ["properties.price > 10", true],
    ["properties.qty == 3", true],
    ["properties.qty == 3.0", true],
    ["properties.qty == 0x3", true],
    ["properties.price == 125e-1", true],
    ["properties.qty / 2 == 1.5", true],
    ["properties.qty % 2 == 1", true],
    ["-properties.qty < -2.5", true],
    ["properties.price * properties.qty - 0.5 >= 37", true],
    ["properties.qty / 0 > 1", "problem"],
    ["properties.qty % 0 > 1", "problem"],
    ["properties.price % 2 > 0", "problem"],
    ["1e308 * 10 > 1", "problem"],
    ["0.1 + 0.2 == 0.3", false],
  ],
  "missing keys and wrong kinds have no result": [
    ["properties.none == 1", "problem"],
    ["properties.none != 1", "problem"],
    ["!(properties.none == 1)", "problem"],
    ["properties.address.none == 1", "problem"],
    ["properties.price.none == 1", "problem"],
    ["properties.tags[7] == 'x'", "problem"],
    ["properties.name > 10", "problem"],
    ["properties.price", "problem"],
    ["properties.paid", true],
    ["properties.name.size() > 3 && properties.price.startsWith('x')", "problem"],
  ],
  "&& and || absorb irrelevant problems on both sides": [
    ["properties.none == 1 || properties.qty == 3", true],
    ["properties.qty == 3 || properties.none == 1", true],
    ["properties.none == 1 || properties.qty == 4", "problem"],
    ["properties.none == 1 && properties.qty == 4", false],
    ["!(properties.none == 1 && properties.qty == 4)", true],
    ["properties.none == 1 && properties.qty == 3", "problem"],
    ["properties.name || properties.paid", true],
  ],
  "has() tests only the last key": [
    ["has(properties.price)", true],
    ["has(properties.nothing)", true],
    ["has(properties.none)", false],
    ["has(properties.address.city)", true],
    ["has(properties.address['zip code'])", true],
    ["has(properties.none.city)", "problem"],
    ["has(properties.price.city)", "problem"],
    ["!has(properties.none) || properties.none > 1", true],
    ["has(properties.none) && properties.none > 1", false],
  ],
  "values of different kinds are unequal": [
    ["properties.qty == properties.name", false],
    ["properties.qty != properties.name", true],
    ["properties.nothing == null", true],
    ["properties.price == null", false],
    ["properties.nothing > 1", "problem"],
    ["properties.tags == ['new', 'women']", true],
    ["properties.tags == ['women', 'new']", false],
    ["properties.address == {'zip code': '3000', 'city': 'Bern'}", true],
    ["properties.address == {'city': 'Bern'}", false],
    ["properties.items[0] == {'sku': 'a', 'price': 5.0}", true],
  ],
  "in searches items and keys": [
    ["'new' in properties.tags", true],
    ["'old' in properties.tags", false],
    ["properties.qty in [1, 2, 3]", true],
    ["properties.qty in ['3', null]", false],
    ["properties.qty in [1, properties.qty]", true],
    ["'city' in properties.address", true],
    ["'nothing' in properties", true],
    ["'none' in properties", false],
    ["{'sku': 'c'} in properties.items", true],
    ["properties.qty in properties.address", false],
    ["'a' in properties.price", "problem"],
  ],
  "texts are compared by code point": [
    ["properties.name.startsWith('Shoes')", true],
    ["properties.name.endsWith('👟')", true],
    ["properties.name.contains('Größe')", true],
    ["properties.name.contains('größe')", false],
    ["properties.name.lowerAscii().contains('größe')", true],
    ["'Äa'.upperAscii() == 'ÄA'", true],
    ["size('👟é') == 2", true],
    ["properties.name.size() == 18", true],
    ["'👟' > '\uffee'", true],
    ["'a' < 'ab' && 'B' < 'a' && !('a' < 'a') && 'a' <= 'a'", true],
    ["properties.tags[0] + '!' == 'new!'", true],
    ["r'a\\n' == 'a\\\\n'", true],
    ["'''it's''' == \"it's\" && '\\x41\\u00e9\\101\\U0001F45F' == 'AéA👟'", true],
  ],
  comprehensions: [
    ["properties.items.exists(i, i.price > 10)", true],
    ["properties.items.exists(i, i.price > 100)", "problem"],
    ["[{}, {'price': 3}].exists(i, i.price == 3)", true],
    ["[{}, {'price': 3}].all(i, i.price > 3)", false],
    ["[{}, {'price': 3}].filter(i, i.price > 1).size() == 1", "problem"],
    ["properties.items.all(i, has(i.sku))", true],
    ["properties.items.all(i, i.price > 10)", false],
    ["properties.items.exists_one(i, i.sku == 'b')", true],
    ["properties.items.exists_one(i, i.price > 10)", "problem"],
    ["properties.items.filter(i, has(i.price)).size() == 2", true],
    ["properties.items.filter(i, has(i.price)).map(i, i.price) == [5, 15]", true],
    ["properties.items.map(i, has(i.price), i.sku) == ['a', 'b']", true],
    ["properties.address.exists(key, key == 'city')", true],
    ["properties.address.all(key, properties.address[key].size() >= 4)", true],
    ["[].all(x, x > 1) && ![].exists(x, x > 1)", true],
    ["properties.price.exists(i, true)", "problem"],
  ],
  conditionals: [
    ["properties.paid ? properties.qty == 3 : properties.none == 1", true],
    ["(properties.paid ? 1 : 2) == 1", true],
    ["properties.none ? true : true", "problem"],
    ["properties.qty ? true : true", "problem"],
  ],
  conversions: [
    ["int('42') == 42 && int(-1.9) == -1", true],
    ["double(' 1') == 1", "problem"],
    ["double('1.5e1') == 15", true],
    ["int('4.2') == 4", "problem"],
    ["int(1e300) > 1", "problem"],
    ["string(properties.qty) == '3' && string(1.5) == '1.5' && string(true) == 'true'", true],
    ["int(properties.address['zip code']) >= 3000", true],
    ["int(properties.tags) > 1", "problem"],
  ],
  times: [
    ["timestamp(properties.ordered) < timestamp('2026-03-02T00:00:00Z')", true],
    ["timestamp(properties.delivered) == timestamp('2026-03-03T10:30:00.500Z')", true],
    ["timestamp(properties.delivered) - timestamp(properties.ordered) > duration('48h')", true],
    ["timestamp(properties.delivered) - timestamp(properties.ordered) == duration('48h30m0.5s')", true],
    ["timestamp(properties.ordered) + duration('-1h') == timestamp('2026-03-01T09:00:00Z')", true],
    ["duration('1h') + duration('30m') - duration('1ns') < duration('1.5h')", true],
    ["timestamp(properties.name) < timestamp('2026-03-02T00:00:00Z')", "problem"],
    ["timestamp(properties.noDay) < timestamp(properties.ordered)", "problem"],
    ["timestamp('0001-01-01T00:00:00Z') < timestamp('1969-12-31T23:59:59.999999999Z')", true],
    ["timestamp('2024-02-29T23:59:59-23:59') > timestamp('2024-03-01T23:58:58Z')", true],
    ["timestamp('9999-12-31T23:59:59Z') + duration('1s') > timestamp(properties.ordered)", "problem"],
  ],
};

describe.each(Object.entries(EXPECTATIONS))("%s", (_rule, rows) => {
  test.each(rows)("%s", (source, expected) => {
    expect(evaluate(source)).toBe(expected);
    expect(compilePredicate(source, "event").matches(JSON.stringify(DATA))).toBe(expected === true);
  });
});

describe("a predicate reports", () => {
  test("which part of the data caused a problem", () => {
    const predicate = compilePredicate("properties.a == 1 ||\n properties.b.c > 2", "event");
    expect(predicate.evaluate({ b: { c: "x" } }).problem).toBe("line 1, column 12: properties.a is missing");
    expect(predicate.evaluate({ a: 2, b: { c: "x" } }).problem).toBe(
      "line 2, column 17: properties.b.c > 2 compares values without an order",
    );
    expect(predicate.evaluate({ a: 1 })).toEqual({ holds: true, problem: undefined });
  });

  test.each([
    ["properties.b > 1 && (has(properties.a.c) || properties['x y'] == 1)", ["a", "b", "x y"], false],
    ["'key' in properties", ["key"], false],
    ["properties.items.exists(i, i.price > properties.limit)", ["items", "limit"], false],
    ["size(properties) > 3", [], true],
    ["properties[properties.key] == 1", ["key"], true],
    ["properties.a in properties", ["a"], true],
    ["true", [], false],
  ])("which fields it reads: %s", (source, fields, readsAllFields) => {
    expect(compilePredicate(source, "event")).toMatchObject({ fields, readsAllFields });
  });

  test("its worst-case cost", () => {
    expect(compilePredicate("properties.price > 10", "event").costSteps).toBe(4);
    expect(compilePredicate("properties.a.exists(x, x > 1)", "event").costSteps).toBe(1 + 2 + 1000 * 3);
  });

  test("the same for traits", () => {
    const predicate = compilePredicate("traits.plan == 'pro'", "traits");
    expect(predicate.key).toBe('traits.plan == "pro"');
    expect(predicate.matches({ plan: "pro" })).toBe(true);
  });
});

describe("one predicate, many spellings, one key", () => {
  test.each([
    [
      ["properties.a>1", "properties.a > 1", "(properties . a) > 1.0", "properties['a'] > 0x1 // one"],
      "properties.a > 1",
    ],
    [
      ["properties.a == 'x'", 'properties["a"] == "\\x78"', "properties.a == r'''x'''"],
      'properties.a == "x"',
    ],
    [["properties['b c'] == -0", "properties['b c'] == 0.0"], 'properties["b c"] == 0'],
    [
      ["properties.l.exists(x, x > 1)", "properties.l.exists(each, (each > 1))"],
      "properties.l.exists(item, item > 1)",
    ],
    [["properties.l.existsOne(x, true)"], "properties.l.exists_one(item, true)"],
    [
      ["true && (properties.a && properties.b)", "(true && properties.a) && properties.b"],
      "true && properties.a && properties.b",
    ],
    [
      ["{'b': 1, 'a': 2} == properties.m", "{'a': 2, 'b': 1.0,} == properties.m"],
      '{"a": 2, "b": 1} == properties.m',
    ],
    [["properties.a - (properties.b - 1) > 1"], "properties.a - (properties.b - 1) > 1"],
    [["(properties.a - properties.b) - 1 > 1"], "properties.a - properties.b - 1 > 1"],
    [["!(properties.a || properties.b) && true"], "!(properties.a || properties.b) && true"],
    [["properties['in'] == 1"], 'properties["in"] == 1'],
    [
      ["(true ? true : false) ? false : true ? false : true"],
      "(true ? true : false) ? false : true ? false : true",
    ],
  ])("%j", (sources, key) => {
    expect(sources.map((source) => compilePredicate(source, "event").key)).toEqual(sources.map(() => key));
    expect(compilePredicate(key, "event").key).toBe(key);
  });
});

describe("hostile data", () => {
  test("keys of prototypes are plain keys", () => {
    const source = "properties.__proto__.polluted == 1 || properties.constructor.name == 'Object'";
    const predicate = compilePredicate(source, "event");
    expect(predicate.matches({})).toBe(false);
    expect(predicate.matches('{"__proto__": {"polluted": 1}}')).toBe(true);
    expect(predicate.matches('{"constructor": {"name": "Object"}}')).toBe(true);
    expect(evaluate("has(properties.toString)", {})).toBe(false);
    expect(evaluate("'hasOwnProperty' in properties", {})).toBe(false);
    expect(evaluate("properties['__proto__'] == null", {})).toBe("problem");
    expect(evaluate("properties.tags.length == 2")).toBe("problem");
    expect(evaluate("properties.name.length == 2")).toBe("problem");
    const literal = compilePredicate("properties == {'__proto__': {'polluted': 1}}", "event");
    expect(literal.matches('{"__proto__": {"polluted": 1}}')).toBe(true);
    expect(literal.matches({})).toBe(false);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test.each(["", "{", "null", "1", '"text"', "[1]", "true", "\u0000"])("%j is no JSON object", (text) => {
    expect(
      compilePredicate("true && properties.a == 1 || size(properties) >= 0", "event").matches(text),
    ).toBe(false);
  });

  test("data nested beyond JSON's limit has no result and does not overflow the stack", () => {
    const deep = `${"[".repeat(60_000)}${"]".repeat(60_000)}`;
    const predicate = compilePredicate("properties.a == properties.b", "event");
    expect(predicate.matches(`{"a": ${deep}, "b": ${deep}}`)).toBe(false);
    const shallow = `${"[".repeat(60)}${"]".repeat(60)}`;
    expect(predicate.matches(`{"a": ${shallow}, "b": ${shallow}}`)).toBe(true);
  });

  test("comprehensions end at their limit", () => {
    const predicate = compilePredicate("properties.l.all(x, x == 1)", "event");
    const of = (length: number) => ({ l: Array.from({ length }, () => 1) });
    expect(predicate.matches(of(1000))).toBe(true);
    expect(predicate.evaluate(of(1001))).toEqual({
      holds: false,
      problem: "line 1, column 12: properties.l has more than 1000 items",
    });
    const keys = Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [`k${at}`, 1]));
    expect(compilePredicate("properties.exists(k, k == 'k0')", "event").matches(keys)).toBe(false);
  });

  test.each([
    ["searches", "properties.l.exists(x, properties.text.contains(x))"],
    ["deep equality", "properties.l.exists(x, properties.numbers == properties.copies && x == 'z')"],
    ["long needles", "properties.text.contains(properties.text + 'b')"],
    ["joined texts", "properties.l.exists(x, (properties.text + x).endsWith('z'))"],
    ["lists", "properties.l.exists(x, x in properties.numbers)"],
    ["keys counted", "properties.l.exists(x, size(properties.map) == 3)"],
    ["keys compared", "properties.empty.exists(x, x == properties.map)"],
    ["case", "properties.l.exists(x, properties.text.upperAscii() == x)"],
  ])("too much work on large data ends the evaluation: %s", (_what, source) => {
    const numbers = Array.from({ length: 20_000 }, () => 1);
    const data = {
      text: "a".repeat(100_000),
      l: Array.from({ length: 1000 }, () => `${"a".repeat(50)}b`),
      numbers,
      copies: [...numbers],
      map: Object.fromEntries(numbers.map((value, at) => [`k${at}`, value])),
      empty: Array.from({ length: 1000 }, () => ({})),
    };
    const tooLarge = { holds: false, problem: "the data is too large for this predicate" };
    expect(compilePredicate(source, "event").evaluate(data)).toEqual(tooLarge);
    // Not even || absorbs an exceeded limit.
    expect(compilePredicate(`${source} || true`, "event").evaluate(data)).toEqual(tooLarge);
  });
});

test("the examples of README.md match as the page says", () => {
  const page = readFileSync(new URL("./README.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `(properties|!.*?properties)(.*?)` \| `(\{.*?\})` \| (yes|no)/gm)];
  expect(rows).toHaveLength(9);
  for (const [row, start, rest, properties = "", matches] of rows) {
    const source = `${start}${rest}`.replaceAll("\\|", "|");
    expect(compilePredicate(source, "event").matches(properties), row).toBe(matches === "yes");
  }
});
