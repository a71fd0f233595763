// Pure. Compiles + - * / % on numbers, + on strings, and + and - on timestamps and durations.
import type { ArithmeticOperator, NodeOf } from "../parse/syntax-tree.ts";
import { instantOf, spanOf } from "../values/time-literal.ts";
import { charge, Instant, Problem, type Run, Span, type Value } from "../values/values.ts";
import type { Compiler, Evaluate } from "./compiler.ts";

export function compileArithmetic(
  node: NodeOf<"binary">,
  operator: ArithmeticOperator,
  { compile, problem }: Compiler,
): Evaluate {
  const [left, right] = [compile(node.left), compile(node.right)];
  const mismatch = problem(node, `${operator} doesn't take values of these kinds`);
  const notFinite = problem(node, "has no finite result");
  return (run) => {
    const one = left(run);
    if (one instanceof Problem) return one;
    const other = right(run);
    if (other instanceof Problem) return other;
    if (typeof one === "number" && typeof other === "number") {
      const result = calculate(operator, one, other);
      return Number.isFinite(result) ? result : notFinite;
    }
    const sum = operator === "+" ? add(run, one, other) : operator === "-" ? subtract(one, other) : null;
    return sum === null ? mismatch : (sum ?? notFinite);
  };
}

/** Not finite for a division by zero and for a remainder of fractions, because JSON has no such number. */
function calculate(operator: ArithmeticOperator, one: number, other: number): number {
  switch (operator) {
    case "+":
      return one + other;
    case "-":
      return one - other;
    case "*":
      return one * other;
    case "/":
      return one / other;
    case "%":
      return Number.isSafeInteger(one) && Number.isSafeInteger(other) ? one % other : Number.NaN;
  }
}

/** Null if values of these kinds cannot be added, undefined if the sum is out of range. */
function add(run: Run, one: unknown, other: unknown): Value | undefined {
  if (typeof one === "string" && typeof other === "string") {
    charge(run, one.length + other.length);
    return one + other;
  }
  if (one instanceof Span && other instanceof Span) return spanOf(one.nanos + other.nanos);
  if (one instanceof Instant && other instanceof Span) return instantOf(one.nanos + other.nanos);
  if (one instanceof Span && other instanceof Instant) return instantOf(one.nanos + other.nanos);
  return null;
}

function subtract(one: unknown, other: unknown): Value | undefined {
  if (one instanceof Span && other instanceof Span) return spanOf(one.nanos - other.nanos);
  if (one instanceof Instant && other instanceof Instant) return spanOf(one.nanos - other.nanos);
  if (one instanceof Instant && other instanceof Span) return instantOf(one.nanos - other.nanos);
  return null;
}
