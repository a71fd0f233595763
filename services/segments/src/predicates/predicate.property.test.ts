// Compares predicates with @bufbuild/cel on random predicates and data: equal texts give equal results,
// problems included. Where the languages differ on purpose, the second text is the equivalent in plain CEL.
import { CelScalar, celEnv, celFunc, isCelError, listType, mapType, parse, plan } from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PredicateError } from "./parse/predicate-error.ts";
import { compilePredicate } from "./predicate.ts";
import { anyObject, anyPredicate, KEYS } from "./testing/random-predicates.ts";
import type { JsonObject } from "./values/values.ts";

const { BOOL, DYN, STRING } = CelScalar;
const MAP = mapType(DYN, DYN);
const has = (map: { keys(): Iterable<unknown> }, key: string) => new Set(map.keys()).has(key);
function present<Item>(item: Item | undefined): Item {
  if (item === undefined) throw new Error("missing");
  return item;
}

const environment = celEnv({
  variables: { properties: mapType(STRING, DYN) },
  funcs: [
    ...strings,
    // The library treats a key with null as missing; the specification of CEL does not.
    celFunc("hasKey", [MAP, STRING], BOOL, has),
    // The library converts an index of any kind to a number: list[false], list["1"].
    celFunc("at", [MAP, STRING], DYN, (map, key) => present(map.get(key))),
    celFunc("at", [listType(DYN), CelScalar.DOUBLE], DYN, (list, at) => present(list.get(at))),
    celFunc("@in", [STRING, MAP], BOOL, (key, map) => has(map, key)),
  ],
});

function theirVerdict(source: string, properties: JsonObject): boolean | "problem" {
  // biome-ignore lint/suspicious/noExplicitAny: the library's input type can't say "any JSON".
  const result = plan(environment, parse(source))({ properties: properties as any });
  return isCelError(result) || typeof result !== "boolean" ? "problem" : result;
}

function ourVerdict(source: string, properties: JsonObject): boolean | "problem" {
  const { holds, problem } = compilePredicate(source, "event").evaluate(properties);
  return problem === undefined ? holds : "problem";
}

function isTooLarge(run: () => void): boolean {
  try {
    run();
    return false;
  } catch (error) {
    if (error instanceof PredicateError) return true;
    throw error;
  }
}

describe("random predicates", () => {
  test("give the same results as @bufbuild/cel", { timeout: propertyTimeoutMs(60_000) }, async () => {
    const seen = { true: 0, false: 0, problem: 0 };
    await checkProperty(
      fc.property(
        anyPredicate,
        fc.array(anyObject, { minLength: 1, maxLength: 5 }),
        ({ ours, theirs }, data) => {
          fc.pre(!isTooLarge(() => compilePredicate(ours, "event")));
          for (const properties of data) {
            const expected = theirVerdict(theirs, properties);
            seen[`${expected}`] += 1;
            expect(ourVerdict(ours, properties)).toBe(expected);
          }
        },
      ),
      { numRuns: 1500 },
    );
    // The test proves nothing unless every result occurs often.
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(150);
  });

  test("have a key that is the same predicate, and its own key", {
    timeout: propertyTimeoutMs(60_000),
  }, async () => {
    await checkProperty(
      fc.property(anyPredicate, anyObject, ({ ours }, properties) => {
        fc.pre(!isTooLarge(() => compilePredicate(ours, "event")));
        const { key, fields, costSteps } = compilePredicate(ours, "event");
        const again = compilePredicate(key, "event");
        expect({ key: again.key, fields: again.fields, costSteps: again.costSteps }).toEqual({
          key,
          fields,
          costSteps,
        });
        expect(ourVerdict(key, properties)).toBe(ourVerdict(ours, properties));
      }),
      { numRuns: 500 },
    );
  });

  test(
    "cost no more units than their bound",
    async () => {
      await checkProperty(
        fc.property(anyPredicate, anyObject, ({ ours }, properties) => {
          fc.pre(!isTooLarge(() => compilePredicate(ours, "event")));
          const { matchesWithin, worstCaseUnits } = compilePredicate(ours, "event");
          expect(matchesWithin(Number.POSITIVE_INFINITY, properties).units).toBeLessThanOrEqual(
            worstCaseUnits,
          );
        }),
        { numRuns: 500 },
      );
    },
    propertyTimeoutMs(60_000),
  );

  test("depend only on the fields that they name", { timeout: propertyTimeoutMs(60_000) }, async () => {
    await checkProperty(
      fc.property(anyPredicate, anyObject, ({ ours }, properties) => {
        fc.pre(!isTooLarge(() => compilePredicate(ours, "event")));
        const { fields, readsAllFields } = compilePredicate(ours, "event");
        fc.pre(!readsAllFields);
        const named = Object.fromEntries(
          Object.entries(properties).filter(([name]) => fields.includes(name)),
        );
        expect(ourVerdict(ours, named)).toBe(ourVerdict(ours, properties));
      }),
      { numRuns: 500 },
    );
  });

  test("answer on any JSON, text or object alike, and leave it as it is", {
    timeout: propertyTimeoutMs(60_000),
  }, async () => {
    const hostileKey = fc.constantFrom("__proto__", "constructor", "toString", ...KEYS);
    const anyText = fc.json({ maxDepth: 4 });
    const anyHostile = fc
      .array(fc.tuple(hostileKey, anyText), { maxLength: 6 })
      .map((entries) => `{${entries.map(([key, json]) => `${JSON.stringify(key)}:${json}`).join(",")}}`);
    await checkProperty(
      fc.property(anyPredicate, fc.oneof(anyHostile, anyText, fc.string()), ({ ours }, text) => {
        fc.pre(!isTooLarge(() => compilePredicate(ours, "event")));
        const predicate = compilePredicate(ours, "event");
        const holds = predicate.matches(text);
        expect(predicate.evaluate(text).holds).toBe(holds);
        if (!text.startsWith("{")) return;
        let data: JsonObject;
        try {
          data = JSON.parse(text);
        } catch {
          return;
        }
        const before = JSON.stringify(data);
        expect(predicate.matches(data)).toBe(holds);
        expect(JSON.stringify(data)).toBe(before);
      }),
      { numRuns: 500 },
    );
  });
});

describe("random texts", () => {
  const pieces = fc.constantFrom(
    ..."properties . a [ ] ( ) { } , : ? ! - + * / % < <= == != && || in true null 'x' \"y\" 1 2.5 0x1 1e3".split(
      " ",
    ),
    ..."has( size( .exists(x, .map(x, // ''' \\ r' 3u while \n 👟 \ud800 \u0000".split(" "),
  );
  test("are accepted, or rejected with a position inside the text", async () => {
    await checkProperty(
      fc.property(
        fc.oneof(
          fc.array(pieces).map((parts) => parts.join(" ")),
          fc.string({ unit: "binary" }),
        ),
        (source) => {
          try {
            compilePredicate(source, "event").matches({});
          } catch (error) {
            if (!(error instanceof PredicateError)) throw error;
            const lines = source.split(/\r\n|\r|\n/);
            expect(error.line).toBeLessThanOrEqual(lines.length);
            expect(error.column).toBeLessThanOrEqual((lines[error.line - 1]?.length ?? 0) + 1);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("that we accept, @bufbuild/cel parses too", async () => {
    await checkProperty(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        // The library's grammar allows one comment between two tokens, the specification any number.
        const source = parts.filter((part) => part !== "//").join(" ");
        if (isTooLarge(() => compilePredicate(source, "event"))) return;
        expect(() => parse(source)).not.toThrow();
      }),
      { numRuns: 3000 },
    );
  });
});
