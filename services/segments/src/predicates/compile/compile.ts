// Pure. Compiles a checked syntax tree to closures over plain JSON. Nothing is converted or copied, and the
// only thrown value is UNITS_EXCEEDED.
import { canonicalText } from "../parse/canonical.ts";
import { positionOf } from "../parse/predicate-error.ts";
import type { Node, NodeOf } from "../parse/syntax-tree.ts";
import { charge, isMap, lookupUnits, Problem } from "../values/values.ts";
import { compileArithmetic } from "./compile-arithmetic.ts";
import { compileCall } from "./compile-call.ts";
import { compileComparison, compileMembership } from "./compile-comparison.ts";
import { compileComprehension } from "./compile-comprehension.ts";
import type { Compiler, Evaluate } from "./compiler.ts";

const SHOWN_LENGTH_MAX = 60;

export function compileTree(root: Node, source: string, subject: string): Evaluate {
  const compiler: Compiler = {
    compile: (node) => compileNode(node, subject, compiler),
    problem: (node, reason) => new Problem(() => describe(node, reason, source, subject)),
  };
  return compiler.compile(root);
}

function describe(node: Node, reason: string, source: string, subject: string): string {
  const { line, column } = positionOf(source, node.offset);
  const text = canonicalText(node, subject);
  const shown = text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
  return `line ${line}, column ${column}: ${shown} ${reason}`;
}

function compileNode(node: Node, subject: string, compiler: Compiler): Evaluate {
  switch (node.kind) {
    case "constant": {
      const { value } = node;
      return () => value;
    }
    case "variable":
      return node.name === subject ? (run) => run.subject : (run) => run.item;
    case "select":
      return compileSelect(node, compiler);
    case "has":
      return compileHas(node, compiler);
    case "index":
      return compileIndex(node, compiler);
    case "list":
      return compileList(node, compiler);
    case "map":
      return compileMap(node, compiler);
    case "not":
      return compileNot(node, compiler);
    case "negate":
      return compileNegate(node, compiler);
    case "and":
    case "or":
      return compileChain(node, compiler);
    case "binary":
      return compileBinary(node, compiler);
    case "conditional":
      return compileConditional(node, compiler);
    case "call":
      return compileCall(node, compiler);
    case "comprehension":
      return compileComprehension(node, compiler);
  }
}

function compileBinary(node: NodeOf<"binary">, compiler: Compiler): Evaluate {
  switch (node.operator) {
    case "==":
    case "!=":
    case "<":
    case "<=":
    case ">":
    case ">=":
      return compileComparison(node, node.operator, compiler);
    case "in":
      return compileMembership(node, compiler);
    default:
      return compileArithmetic(node, node.operator, compiler);
  }
}

function compileSelect(node: NodeOf<"select">, { compile, problem }: Compiler): Evaluate {
  const { field } = node;
  const target = compile(node.target);
  const missing = problem(node, "is missing");
  const noMap = problem(node.target, "is not a map");
  return (run) => {
    const value = target(run);
    if (isMap(value)) {
      const member = Object.hasOwn(value, field) ? value[field] : undefined;
      return member === undefined ? missing : member;
    }
    return value instanceof Problem ? value : noMap;
  };
}

function compileHas(node: NodeOf<"has">, { compile, problem }: Compiler): Evaluate {
  const { field } = node;
  const target = compile(node.target);
  const noMap = problem(node.target, "is not a map");
  return (run) => {
    const value = target(run);
    if (isMap(value)) return Object.hasOwn(value, field) && value[field] !== undefined;
    return value instanceof Problem ? value : noMap;
  };
}

function compileIndex(node: NodeOf<"index">, { compile, problem }: Compiler): Evaluate {
  const [target, index] = [compile(node.target), compile(node.index)];
  const missing = problem(node, "is missing");
  const mismatch = problem(node, "a list is indexed by a whole number, a map by a string");
  return (run) => {
    const value = target(run);
    if (value instanceof Problem) return value;
    const key = index(run);
    if (key instanceof Problem) return key;
    if (Array.isArray(value) && typeof key === "number") {
      if (!Number.isInteger(key)) return mismatch;
      return value[key] === undefined ? missing : value[key];
    }
    if (!isMap(value) || typeof key !== "string") return mismatch;
    charge(run, lookupUnits(key));
    const member = Object.hasOwn(value, key) ? value[key] : undefined;
    return member === undefined ? missing : member;
  };
}

function compileList(node: NodeOf<"list">, { compile }: Compiler): Evaluate {
  const items = node.items.map(compile);
  return (run) => {
    const list: unknown[] = [];
    for (const item of items) {
      const value = item(run);
      if (value instanceof Problem) return value;
      list.push(value);
    }
    return list;
  };
}

function compileMap(node: NodeOf<"map">, { compile }: Compiler): Evaluate {
  const entries = node.entries.map(({ key, value }) => ({ key, evaluate: compile(value) }));
  return (run) => {
    // Without a prototype, so that `__proto__` is a plain key.
    const map: Record<string, unknown> = Object.create(null);
    for (const { key, evaluate } of entries) {
      const value = evaluate(run);
      if (value instanceof Problem) return value;
      map[key] = value;
    }
    return map;
  };
}

function compileNot(node: NodeOf<"not">, { compile, problem }: Compiler): Evaluate {
  const operand = compile(node.operand);
  const mismatch = problem(node.operand, "is not a bool");
  return (run) => {
    const value = operand(run);
    if (typeof value === "boolean") return !value;
    return value instanceof Problem ? value : mismatch;
  };
}

function compileNegate(node: NodeOf<"negate">, { compile, problem }: Compiler): Evaluate {
  const operand = compile(node.operand);
  const mismatch = problem(node.operand, "is not a number");
  return (run) => {
    const value = operand(run);
    if (typeof value === "number") return -value;
    return value instanceof Problem ? value : mismatch;
  };
}

/**
 * One deciding term is enough, even if another term has a problem. Otherwise the first problem is the result.
 */
function compileChain(node: NodeOf<"and" | "or">, { compile, problem }: Compiler): Evaluate {
  const decisive = node.kind === "or";
  const terms = node.terms.map((term) => ({
    evaluate: compile(term),
    mismatch: problem(term, "is not a bool"),
  }));
  return (run) => {
    let found: Problem | undefined;
    for (const { evaluate, mismatch } of terms) {
      const value = evaluate(run);
      if (value === decisive) return decisive;
      if (typeof value !== "boolean") found ??= value instanceof Problem ? value : mismatch;
    }
    return found ?? !decisive;
  };
}

function compileConditional(node: NodeOf<"conditional">, { compile, problem }: Compiler): Evaluate {
  const condition = compile(node.condition);
  const [then, otherwise] = [compile(node.then), compile(node.otherwise)];
  const mismatch = problem(node.condition, "is not a bool");
  return (run) => {
    const value = condition(run);
    if (typeof value === "boolean") return value ? then(run) : otherwise(run);
    return value instanceof Problem ? value : mismatch;
  };
}
