// Pure. Compiles calls of the functions in functions.ts.
import { assert } from "@muster/core";
import { EVALUATION_UNITS_MAX } from "../parse/limits.ts";
import type { Node, NodeOf } from "../parse/syntax-tree.ts";
import { callFunction, FUNCTIONS } from "../values/functions.ts";
import { kindOf, Problem, type Run, type Value, type ValueKind } from "../values/values.ts";
import type { Compiler, Evaluate } from "./compiler.ts";

export function compileCall(node: NodeOf<"call">, compiler: Compiler): Evaluate {
  const declared = FUNCTIONS.get(node.name);
  assert(declared !== undefined, `unchecked function ${node.name}`);
  const nodes = node.target === undefined ? node.args : [node.target, ...node.args];
  const args = nodes.map((arg, at) => compileArgument(arg, declared.takes[at] ?? [], compiler));
  const noResult = compiler.problem(node, "has no result for this value");
  const [first, second] = args;
  if (first === undefined) return () => noResult;
  const evaluate: Evaluate = (run) => {
    const one = first(run);
    if (one instanceof Problem) return one;
    if (second === undefined) return callFunction(declared, run, one) ?? noResult;
    const two = second(run);
    return two instanceof Problem ? two : (callFunction(declared, run, one, two) ?? noResult);
  };
  // A constant timestamp or duration is parsed once.
  return nodes.every((arg) => arg.kind === "constant") ? onlyOnce(evaluate) : evaluate;
}

function onlyOnce(evaluate: Evaluate): Evaluate {
  const value = evaluate({ subject: null, item: null, units: 0, unitsMax: EVALUATION_UNITS_MAX });
  return () => value;
}

function compileArgument(
  node: Node,
  kinds: readonly ValueKind[],
  { compile, problem }: Compiler,
): (run: Run) => Value {
  const argument = compile(node);
  const mismatch = problem(node, `is not a ${kinds.join(" or ")}`);
  return (run) => {
    const value = argument(run);
    if (value instanceof Problem) return value;
    const kind = kindOf(value);
    return kind !== undefined && kinds.includes(kind) ? (value as Value) : mismatch;
  };
}
