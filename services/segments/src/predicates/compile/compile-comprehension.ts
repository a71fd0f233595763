// Pure. Compiles exists, all, exists_one, filter and map over the items of a list or the keys of a map.
import { COMPREHENSION_ITEMS_MAX } from "../parse/limits.ts";
import { bodyOf, type NodeOf, nodesOf } from "../parse/syntax-tree.ts";
import { charge, isMap, keysOf, Problem, type Run } from "../values/values.ts";
import type { Compiler, Evaluate } from "./compiler.ts";

type Walk = (run: Run, items: readonly unknown[]) => unknown;

export function compileComprehension(node: NodeOf<"comprehension">, compiler: Compiler): Evaluate {
  const range = compiler.compile(node.range);
  const mismatch = compiler.problem(node.range, "is neither a list nor a map");
  const tooLong = compiler.problem(node.range, `has more than ${COMPREHENSION_ITEMS_MAX} items`);
  const walk = compileWalk(node, compiler);
  return (run) => {
    const value = range(run);
    if (value instanceof Problem) return value;
    if (!Array.isArray(value) && !isMap(value)) return mismatch;
    const items = Array.isArray(value) ? value : keysOf(run, value);
    return items.length > COMPREHENSION_ITEMS_MAX ? tooLong : walk(run, items);
  };
}

function compileWalk(node: NodeOf<"comprehension">, compiler: Compiler): Walk {
  switch (node.macro) {
    case "exists":
      return compileSearch(node, true, compiler);
    case "all":
      return compileSearch(node, false, compiler);
    case "exists_one":
      return compileExistsOne(node, compiler);
    case "filter":
    case "map":
      return compileCollect(node, compiler);
  }
}

/** Like || and &&: a deciding item is enough, even if a further item has a problem. */
function compileSearch(node: NodeOf<"comprehension">, decisive: boolean, compiler: Compiler): Walk {
  const test = compileTest(node, compiler);
  const units = bodyUnits(node);
  return (run, items) => {
    let found: Problem | undefined;
    for (const item of items) {
      charge(run, units);
      run.item = item;
      const value = test(run);
      if (value === decisive) return decisive;
      if (value instanceof Problem) found ??= value;
    }
    return found ?? !decisive;
  };
}

function compileExistsOne(node: NodeOf<"comprehension">, compiler: Compiler): Walk {
  const test = compileTest(node, compiler);
  const units = bodyUnits(node);
  return (run, items) => {
    let count = 0;
    for (const item of items) {
      charge(run, units);
      run.item = item;
      const value = test(run);
      if (value instanceof Problem) return value;
      if (value) count += 1;
    }
    return count === 1;
  };
}

function compileCollect(node: NodeOf<"comprehension">, compiler: Compiler): Walk {
  const test = compileTest(node, compiler);
  const result: Evaluate = node.result === undefined ? (run) => run.item : compiler.compile(node.result);
  const units = bodyUnits(node);
  return (run, items) => {
    const list: unknown[] = [];
    for (const item of items) {
      charge(run, units);
      run.item = item;
      const isKept = test(run);
      if (isKept instanceof Problem) return isKept;
      if (!isKept) continue;
      const value = result(run);
      if (value instanceof Problem) return value;
      list.push(value);
    }
    return list;
  };
}

/** Units of the body's nodes for one item. */
function bodyUnits(node: NodeOf<"comprehension">): number {
  return bodyOf(node).reduce((units, each) => units + nodesOf(each), 0);
}

/** Without a test every item passes. */
function compileTest(
  node: NodeOf<"comprehension">,
  { compile, problem }: Compiler,
): (run: Run) => boolean | Problem {
  if (node.test === undefined) return () => true;
  const test = compile(node.test);
  const mismatch = problem(node.test, "is not a bool");
  return (run) => {
    const value = test(run);
    return typeof value === "boolean" || value instanceof Problem ? value : mismatch;
  };
}
