// Pure. Type-checks a syntax tree when a predicate is saved: names, functions, operand types, and a bool as
// result. JSON values have the type "dyn": any value is possible, so each evaluation checks again.
import type { BinaryOperator, Comprehension, Node, NodeOf } from "../parse/syntax-tree.ts";
import { FUNCTIONS, type StaticType } from "../values/functions.ts";
import { parseInstant, parseSpan } from "../values/time-literal.ts";
import { kindOf } from "../values/values.ts";

/** Reports the invalid node and the reason. */
export type Fail = (node: Node, reason: string) => never;

interface Scope {
  /** `properties` or `traits`. */
  readonly subject: string;
  /** The comprehension's variable, inside its body. */
  readonly variable: string | undefined;
  readonly fail: Fail;
}

const TYPE_NAMES: Readonly<Record<StaticType, string>> = {
  bool: "a bool",
  number: "a number",
  string: "a string",
  null: "null",
  list: "a list",
  map: "a map",
  timestamp: "a timestamp",
  duration: "a duration",
  dyn: "any value",
};
const ORDERED: readonly StaticType[] = ["number", "string", "bool", "timestamp", "duration"];

export function checkPredicate(node: Node, subject: string, fail: Fail): void {
  const type = typeOf(node, { subject, variable: undefined, fail });
  if (!isPossibly(type, ["bool"]))
    fail(node, `a predicate must be true or false, this is ${TYPE_NAMES[type]}`);
}

function isPossibly(type: StaticType, kinds: readonly StaticType[]): boolean {
  return type === "dyn" || kinds.includes(type);
}

function typeOf(node: Node, scope: Scope): StaticType {
  switch (node.kind) {
    case "constant":
      return kindOf(node.value) ?? "dyn";
    case "variable":
      return typeOfVariable(node, scope);
    case "select":
    case "has":
      expectType(node.target, ["map"], `only a map has the field ${JSON.stringify(node.field)}`, scope);
      return node.kind === "has" ? "bool" : "dyn";
    case "index":
      return typeOfIndex(node, scope);
    case "list":
      for (const item of node.items) typeOf(item, scope);
      return "list";
    case "map":
      for (const { value } of node.entries) typeOf(value, scope);
      return "map";
    case "not":
      return expectType(node.operand, ["bool"], "! takes a bool", scope, "bool");
    case "negate":
      return expectType(node.operand, ["number"], "- takes a number", scope, "number");
    case "and":
    case "or":
      for (const term of node.terms) {
        expectType(term, ["bool"], `${node.kind === "and" ? "&&" : "||"} takes bools`, scope);
      }
      return "bool";
    case "binary":
      return typeOfBinary(node, scope);
    case "conditional":
      return typeOfConditional(node, scope);
    case "call":
      return typeOfCall(node, scope);
    case "comprehension":
      return typeOfComprehension(node, scope);
  }
}

function expectType(
  node: Node,
  kinds: readonly StaticType[],
  rule: string,
  scope: Scope,
  gives: StaticType = "dyn",
): StaticType {
  const type = typeOf(node, scope);
  if (!isPossibly(type, kinds)) scope.fail(node, `${rule}, this is ${TYPE_NAMES[type]}`);
  return gives;
}

function typeOfVariable(node: NodeOf<"variable">, scope: Scope): StaticType {
  if (node.name === scope.subject) return "map";
  if (node.name === scope.variable) return "dyn";
  return scope.fail(node, `unknown name ${node.name}: write ${scope.subject}.${node.name}`);
}

function typeOfIndex(node: NodeOf<"index">, scope: Scope): StaticType {
  const target = typeOf(node.target, scope);
  if (!isPossibly(target, ["list", "map"])) {
    scope.fail(node.target, `[] takes a list or a map, this is ${TYPE_NAMES[target]}`);
  }
  if (target === "list") expectType(node.index, ["number"], "a list is indexed by a number", scope);
  else if (target === "map") expectType(node.index, ["string"], "a map is indexed by a string", scope);
  else expectType(node.index, ["number", "string"], "an index is a number or a string", scope);
  const { index } = node;
  if (index.kind === "constant" && typeof index.value === "number") {
    if (!Number.isInteger(index.value) || index.value < 0) scope.fail(index, "an index is 0, 1, 2, ...");
  }
  return "dyn";
}

function typeOfBinary(node: NodeOf<"binary">, scope: Scope): StaticType {
  const { operator } = node;
  const [left, right] = [typeOf(node.left, scope), typeOf(node.right, scope)];
  const result = typeOfOperation(operator, left, right);
  if (result !== undefined) return result;
  const [one, other] = [TYPE_NAMES[left], TYPE_NAMES[right]];
  if (operator === "==" || operator === "!=") {
    return scope.fail(node, `${operator} compares ${one} with ${other}, which are never equal`);
  }
  if (operator === "in") {
    return scope.fail(node, `in takes an item and a list, or a key and a map, not ${one} in ${other}`);
  }
  return scope.fail(node, `${operator} doesn't take ${one} and ${other}`);
}

/** Undefined if the operator accepts no values of these types. */
function typeOfOperation(
  operator: BinaryOperator,
  left: StaticType,
  right: StaticType,
): StaticType | undefined {
  const areBoth = (kind: StaticType) => isPossibly(left, [kind]) && isPossibly(right, [kind]);
  const areSame = left === "dyn" || right === "dyn" || left === right;
  switch (operator) {
    case "==":
    case "!=":
      return areSame ? "bool" : undefined;
    case "<":
    case "<=":
    case ">":
    case ">=":
      return areSame && isPossibly(left, ORDERED) && isPossibly(right, ORDERED) ? "bool" : undefined;
    case "in":
      if (right === "map") return isPossibly(left, ["string"]) ? "bool" : undefined;
      return isPossibly(right, ["list"]) ? "bool" : undefined;
    case "*":
    case "/":
    case "%":
      return areBoth("number") ? "number" : undefined;
    case "+":
    case "-":
      return typeOfSum(operator, left, right);
  }
}

const SUMS: readonly (readonly ["+" | "-", StaticType, StaticType, StaticType])[] = [
  ["+", "number", "number", "number"],
  ["+", "string", "string", "string"],
  ["+", "timestamp", "duration", "timestamp"],
  ["+", "duration", "timestamp", "timestamp"],
  ["+", "duration", "duration", "duration"],
  ["-", "number", "number", "number"],
  ["-", "timestamp", "timestamp", "duration"],
  ["-", "timestamp", "duration", "timestamp"],
  ["-", "duration", "duration", "duration"],
];

function typeOfSum(operator: "+" | "-", left: StaticType, right: StaticType): StaticType | undefined {
  const possible = SUMS.filter(
    ([sign, one, other]) => sign === operator && isPossibly(left, [one]) && isPossibly(right, [other]),
  ).map(([, , , result]) => result);
  const [first] = possible;
  return possible.every((type) => type === first) ? first : "dyn";
}

function typeOfConditional(node: NodeOf<"conditional">, scope: Scope): StaticType {
  expectType(node.condition, ["bool"], "? takes a bool", scope);
  const [then, otherwise] = [typeOf(node.then, scope), typeOf(node.otherwise, scope)];
  if (then === otherwise) return then;
  if (then === "dyn" || otherwise === "dyn") return "dyn";
  return scope.fail(
    node,
    `? gives ${TYPE_NAMES[then]} or ${TYPE_NAMES[otherwise]}: both must be of one kind`,
  );
}

function typeOfCall(node: NodeOf<"call">, scope: Scope): StaticType {
  const { name, target } = node;
  const declared = FUNCTIONS.get(name);
  if (name === "matches") {
    scope.fail(node, "matches is not supported: use startsWith, endsWith or contains");
  }
  if (declared === undefined) return scope.fail(node, `unknown function ${name}`);
  const form = target === undefined ? "function" : "method";
  if (!declared.forms.includes(form)) {
    scope.fail(node, form === "method" ? `write ${name}(value)` : `write value.${name}(...)`);
  }
  const args = target === undefined ? node.args : [target, ...node.args];
  if (args.length !== declared.takes.length) {
    const expected = declared.takes.length - (form === "method" ? 1 : 0);
    scope.fail(
      node,
      `${name} takes ${expected} argument${expected === 1 ? "" : "s"}, not ${node.args.length}`,
    );
  }
  for (const [at, arg] of args.entries()) {
    const kinds = declared.takes[at] ?? [];
    expectType(arg, kinds, `${name} takes ${kinds.map((kind) => TYPE_NAMES[kind]).join(" or ")}`, scope);
  }
  const [text] = args;
  if (text?.kind === "constant" && typeof text.value === "string") checkTime(name, text, text.value, scope);
  return declared.gives;
}

function checkTime(name: string, node: Node, text: string, scope: Scope): void {
  if (name === "timestamp" && parseInstant(text) === undefined) {
    scope.fail(node, "a timestamp is written as 2026-01-31T12:00:00Z (RFC 3339)");
  }
  if (name === "duration" && parseSpan(text) === undefined) {
    scope.fail(node, "a duration is written as 48h, 1h30m or 2.5s (units h, m, s, ms, us, ns)");
  }
}

function typeOfComprehension(node: Node & Comprehension, scope: Scope): StaticType {
  const { macro, variable } = node;
  expectType(node.range, ["list", "map"], `${macro} walks a list or the keys of a map`, scope);
  if (variable === scope.subject) scope.fail(node, `the item needs another name than ${variable}`);
  const inner = { ...scope, variable };
  if (node.test !== undefined) expectType(node.test, ["bool"], `the test of ${macro} is a bool`, inner);
  if (node.result !== undefined) typeOf(node.result, inner);
  return macro === "filter" || macro === "map" ? "list" : "bool";
}
