// Pure. Compiles equality, order and `in`.
import type { NodeOf, OrderOperator } from "../parse/syntax-tree.ts";
import { charge, equal, isMap, lookupUnits, order, Problem, type Run } from "../values/values.ts";
import type { Compiler, Evaluate } from "./compiler.ts";

type Binary = NodeOf<"binary">;

export function compileComparison(
  node: Binary,
  operator: "==" | "!=" | OrderOperator,
  compiler: Compiler,
): Evaluate {
  return operator === "==" || operator === "!="
    ? compileEquality(node, operator === "!=", compiler)
    : compileOrder(node, operator, compiler);
}

function compileEquality(node: Binary, negated: boolean, { compile, problem }: Compiler): Evaluate {
  const [left, right] = [compile(node.left), compile(node.right)];
  const tooDeep = problem(node, "compares values that are nested too deep");
  return (run) => {
    const one = left(run);
    const other = right(run);
    if (typeof one === "number" && typeof other === "number") return (one === other) !== negated;
    if (one instanceof Problem) return one;
    if (other instanceof Problem) return other;
    const same = equal(run, one, other);
    return same === undefined ? tooDeep : same !== negated;
  };
}

/** One closure per operator, so that numbers, the usual case, are compared without a further call. */
function compileOrder(node: Binary, operator: OrderOperator, compiler: Compiler): Evaluate {
  const [left, right] = [compiler.compile(node.left), compiler.compile(node.right)];
  const compareOther = compileOtherOrder(node, operator, compiler);
  switch (operator) {
    case "<":
      return (run) => {
        const one = left(run);
        const other = right(run);
        return typeof one === "number" && typeof other === "number"
          ? one < other
          : compareOther(run, one, other);
      };
    case "<=":
      return (run) => {
        const one = left(run);
        const other = right(run);
        return typeof one === "number" && typeof other === "number"
          ? one <= other
          : compareOther(run, one, other);
      };
    case ">":
      return (run) => {
        const one = left(run);
        const other = right(run);
        return typeof one === "number" && typeof other === "number"
          ? one > other
          : compareOther(run, one, other);
      };
    case ">=":
      return (run) => {
        const one = left(run);
        const other = right(run);
        return typeof one === "number" && typeof other === "number"
          ? one >= other
          : compareOther(run, one, other);
      };
  }
}

function compileOtherOrder(node: Binary, operator: OrderOperator, { problem }: Compiler) {
  const mismatch = problem(node, "compares values without an order");
  return (run: Run, one: unknown, other: unknown): boolean | Problem => {
    if (one instanceof Problem) return one;
    if (other instanceof Problem) return other;
    const difference = order(run, one, other);
    if (difference === undefined) return mismatch;
    switch (operator) {
      case "<":
        return difference < 0;
      case "<=":
        return difference <= 0;
      case ">":
        return difference > 0;
      case ">=":
        return difference >= 0;
    }
  };
}

/** An item of a list, or a key of a map. */
export function compileMembership(node: Binary, compiler: Compiler): Evaluate {
  const { compile, problem } = compiler;
  const left = compile(node.left);
  const constants = constantsOf(node);
  if (constants !== undefined) {
    return (run) => {
      const item = left(run);
      if (item instanceof Problem) return item;
      charge(run, lookupUnits(item));
      return constants.has(item);
    };
  }
  const right = compile(node.right);
  const mismatch = problem(node, "searches neither a list nor a map");
  const tooDeep = problem(node, "compares values that are nested too deep");
  return (run) => {
    const item = left(run);
    if (item instanceof Problem) return item;
    const range = right(run);
    if (range instanceof Problem) return range;
    if (isMap(range)) {
      charge(run, lookupUnits(item));
      if (typeof item === "string") return Object.hasOwn(range, item) && range[item] !== undefined;
      // CEL allows keys of other kinds; JSON has only strings.
      return typeof item === "number" || typeof item === "boolean" ? false : mismatch;
    }
    if (!Array.isArray(range)) return mismatch;
    return isItem(run, item, range) ?? tooDeep;
  };
}

function isItem(run: Run, item: unknown, list: readonly unknown[]): boolean | undefined {
  let isUncertain = false;
  for (const each of list) {
    const same = equal(run, item, each);
    if (same === true) return true;
    if (same === undefined) isUncertain = true;
  }
  return isUncertain ? undefined : false;
}

/** `x in ["a", "b"]` becomes a lookup in a set. */
function constantsOf({ right }: Binary): ReadonlySet<unknown> | undefined {
  if (right.kind !== "list") return undefined;
  const values = new Set<unknown>();
  for (const item of right.items) {
    if (item.kind !== "constant") return undefined;
    values.add(item.value);
  }
  return values;
}
