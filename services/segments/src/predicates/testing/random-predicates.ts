// Generates random predicates, each as our text and as plain CEL for @bufbuild/cel, and random data for both.
import fc from "fast-check";
import type { JsonObject } from "../values/values.ts";

/** One expression in our language and in the library's. */
export interface Pair {
  readonly ours: string;
  readonly theirs: string;
}

export const KEYS: readonly string[] = ["a", "b", "c", "list", "map"];
const anyKey = fc.constantFrom(...KEYS);
const anyText = fc.constantFrom("", "a", "A", "ab", "b a", "é", "1", "-2.5", "true");
const anyNumber = fc.constantFrom(-2.5, -1, 0, 0.5, 1, 2, 3, 1000, 1e21);
const anyLeaf: fc.Arbitrary<unknown> = fc.oneof(anyText, anyNumber, fc.boolean(), fc.constant(null));
const anyComparison = fc.constantFrom("==", "!=", "<", "<=", ">", ">=");
const anyChain = fc.constantFrom("&&", "||");

const anyJson = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    { arbitrary: anyLeaf, weight: 3 },
    { arbitrary: fc.array(tie("value"), { maxLength: 4 }), weight: 1 },
    { arbitrary: fc.dictionary(anyKey, tie("value"), { maxKeys: 4, noNullPrototype: true }), weight: 1 },
  ),
})).value;

export const anyObject: fc.Arbitrary<JsonObject> = fc.dictionary(anyKey, anyJson, { noNullPrototype: true });

function pair(strings: TemplateStringsArray, ...parts: (Pair | string)[]): Pair {
  const text = (side: "ours" | "theirs") =>
    String.raw({ raw: strings }, ...parts.map((part) => (typeof part === "string" ? part : part[side])));
  return { ours: text("ours"), theirs: text("theirs") };
}

/** A JSON number is always a double. */
function numberPair(number: number): Pair {
  const isWhole = Number.isInteger(number) && Math.abs(number) < 1e15;
  return { ours: String(number), theirs: isWhole ? `${number}.0` : String(number) };
}

interface Expressions {
  bool: Pair;
  number: Pair;
  text: Pair;
  list: Pair;
  path: Pair;
}

interface Parts {
  readonly tie: fc.LetrecTypedTie<Expressions>;
  /** An expression of one of these kinds. */
  readonly either: (...kinds: (keyof Expressions)[]) => fc.Arbitrary<Pair>;
  /** The variable inside a comprehension's body, where no further comprehension is allowed. */
  readonly variable: string | undefined;
}

type Arbitraries = fc.Arbitrary<Pair>[];

function expressions(variable?: string): fc.Arbitrary<Pair> {
  return fc.letrec<Expressions>((tie: fc.LetrecTypedTie<Expressions>) => {
    const either = (...kinds: (keyof Expressions)[]) => fc.oneof(...kinds.map((kind) => tie(kind)));
    const parts: Parts = { tie, either, variable };
    const oneOf = (arbitraries: Arbitraries) => fc.oneof({ depthSize: "small" }, ...arbitraries);
    return {
      path: oneOf(paths(parts)),
      number: oneOf(numbers(parts)),
      text: oneOf(texts(parts)),
      list: oneOf(lists(parts)),
      bool: oneOf([...tests(parts), ...chains(parts)]),
    };
  }).bool;
}

function root({ variable }: Parts): fc.Arbitrary<string> {
  return fc.constantFrom(...(variable === undefined ? ["properties"] : ["properties", variable, variable]));
}

function paths(parts: Parts): Arbitraries {
  const { tie, either, variable } = parts;
  return [
    fc.tuple(root(parts), anyKey).map(([from, key]) => pair`${from}.${key}`),
    fc.tuple(tie("path"), anyKey).map(([path, key]) => pair`${path}.${key}`),
    fc.tuple(tie("path"), fc.nat(3)).map(([path, at]) => pair`${path}[${String(at)}]`),
    fc.tuple(tie("path"), tie("path")).map(([path, index]) => ({
      ours: `${path.ours}[${index.ours}]`,
      theirs: `at(${path.theirs}, ${index.theirs})`,
    })),
    fc
      .tuple(either("bool", "path"), tie("path"), tie("path"))
      .map(([condition, then, otherwise]) => pair`(${condition} ? ${then} : ${otherwise})`),
    ...(variable === undefined ? [] : [fc.constant(pair`${variable}`)]),
  ];
}

function numbers({ tie, either }: Parts): Arbitraries {
  const dyn = either("number", "path");
  return [
    anyNumber.map(numberPair),
    fc
      .tuple(dyn, fc.constantFrom("+", "-", "*"), dyn)
      // Two paths may join texts with +, so one side must be a number here.
      .map(([one, sign, other]) => pair`(${one} ${sign} ${other} * ${numberPair(1)})`),
    fc.tuple(dyn, fc.constantFrom(-2, 4, 0.5)).map(([one, by]) => pair`(${one} / ${numberPair(by)})`),
    tie("path").map((one) => pair`(-${one})`),
    either("text", "list", "path").map(({ ours, theirs }) => ({
      ours: `size(${ours})`,
      theirs: `double(size(${theirs}))`,
    })),
  ];
}

function texts({ tie, either }: Parts): Arbitraries {
  const dyn = either("text", "path");
  return [
    anyText.map((text) => pair`${JSON.stringify(text)}`),
    fc.tuple(tie("text"), dyn).map(([one, other]) => pair`(${one} + ${other})`),
    dyn.map((one) => pair`${one}.lowerAscii()`),
    dyn.map((one) => pair`${one}.upperAscii()`),
  ];
}

function lists({ either, variable }: Parts): Arbitraries {
  const items = fc.array(either("number", "text", "path"), { maxLength: 3 });
  const written = items.map((each) => ({
    ours: `[${each.map((item) => item.ours).join(",")}]`,
    theirs: `[${each.map((item) => item.theirs).join(",")}]`,
  }));
  if (variable !== undefined) return [written];
  const range = either("list", "path");
  return [
    written,
    fc.tuple(range, expressions("x")).map(([list, body]) => pair`${list}.filter(x, ${body})`),
    fc.tuple(range, expressions("x")).map(([list, body]) => pair`${list}.map(x, ${body})`),
    fc
      .tuple(range, expressions("x"), expressions("x"))
      .map(([list, test, body]) => pair`${list}.map(x, ${test}, ${body})`),
  ];
}

function tests(parts: Parts): Arbitraries {
  const { tie, either } = parts;
  const [dynNumber, dynText, dynList] = [
    either("number", "path"),
    either("text", "path"),
    either("list", "path"),
  ];
  return [
    fc.constantFrom("true", "false").map((text) => pair`${text}`),
    fc
      .tuple(dynNumber, anyComparison, dynNumber)
      .map(([one, sign, other]) => pair`(${one} ${sign} ${other})`),
    fc.tuple(dynText, anyComparison, dynText).map(([one, sign, other]) => pair`(${one} ${sign} ${other})`),
    fc.tuple(dynList, dynList).map(([one, other]) => pair`(${one} == ${other})`),
    tie("path").map((one) => pair`(${one} != null)`),
    fc
      .tuple(fc.constantFrom("startsWith", "endsWith", "contains"), dynText, dynText)
      .map(([name, text, part]) => pair`${text}.${name}(${part})`),
    fc
      .tuple(
        fc.oneof(
          root(parts).map((name) => pair`${name}`),
          tie("path"),
        ),
        anyKey,
      )
      .map(([map, key]) => ({ ours: `has(${map.ours}.${key})`, theirs: `hasKey(${map.theirs}, "${key}")` })),
    fc.tuple(either("number", "text", "path"), dynList).map(([one, list]) => pair`(${one} in ${list})`),
    dynText.map((one) => pair`(${one} in properties)`),
  ];
}

function chains({ tie, either, variable }: Parts): Arbitraries {
  const dyn = either("bool", "path");
  const macro = fc.constantFrom("exists", "all", "exists_one");
  return [
    dyn.map((one) => pair`(!${one})`),
    fc.tuple(dyn, anyChain, dyn).map(([one, sign, other]) => pair`(${one} ${sign} ${other})`),
    fc
      .tuple(tie("bool"), anyChain, tie("bool"), anyChain, tie("bool"))
      .map(([one, sign, two, next, three]) => pair`(${one} ${sign} ${two} ${next} ${three})`),
    fc
      .tuple(dyn, tie("bool"), tie("bool"))
      .map(([condition, then, otherwise]) => pair`(${condition} ? ${then} : ${otherwise})`),
    ...(variable === undefined
      ? [
          fc
            .tuple(macro, either("list", "path"), expressions("x"))
            .map(([name, range, body]) => pair`${range}.${name}(x, ${body})`),
        ]
      : []),
  ];
}

export const anyPredicate: fc.Arbitrary<Pair> = expressions();
