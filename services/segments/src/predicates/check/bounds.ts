// Pure. Computes the static bounds of a predicate: worst-case cost, comprehensions, and the fields read.
import {
  COMPREHENSION_BODY_NODES_MAX,
  COMPREHENSION_ITEMS_MAX,
  COMPREHENSION_NESTING_MAX,
  PREDICATE_COST_STEPS_MAX,
} from "../parse/limits.ts";
import { bodyOf, childrenOf, type Node, nodesOf } from "../parse/syntax-tree.ts";
import type { Fail } from "./check.ts";

/** Most nodes visited in one evaluation. Rejects predicates beyond the limits. */
export function worstCaseSteps(root: Node, fail: Fail): number {
  const steps = stepsOf(root, 0, fail);
  if (steps > PREDICATE_COST_STEPS_MAX) {
    fail(root, `the predicate may take ${steps} steps, the most is ${PREDICATE_COST_STEPS_MAX}`);
  }
  return steps;
}

function stepsOf(node: Node, nesting: number, fail: Fail): number {
  if (node.kind !== "comprehension") {
    return 1 + sum(childrenOf(node).map((child) => stepsOf(child, nesting, fail)));
  }
  if (nesting >= COMPREHENSION_NESTING_MAX) {
    fail(node, `${node.macro} is not allowed inside the body of another comprehension`);
  }
  const body = bodyOf(node);
  const nodes = sum(body.map(nodesOf));
  if (nodes > COMPREHENSION_BODY_NODES_MAX) {
    fail(node, `the body of ${node.macro} has ${nodes} parts, the most is ${COMPREHENSION_BODY_NODES_MAX}`);
  }
  const steps = sum(body.map((each) => stepsOf(each, nesting + 1, fail)));
  return 1 + stepsOf(node.range, nesting, fail) + COMPREHENSION_ITEMS_MAX * steps;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

export interface FieldsRead {
  /** Names of top-level properties, sorted. */
  readonly fields: readonly string[];
  /** True if the predicate may also read any other property, such as `size(properties)`. */
  readonly readsAll: boolean;
}

export function fieldsRead(root: Node, subject: string): FieldsRead {
  const fields = new Set<string>();
  let readsAll = false;
  const visit = (node: Node): void => {
    if ((node.kind === "select" || node.kind === "has") && isSubject(node.target, subject)) {
      fields.add(node.field);
      return;
    }
    if (node.kind === "binary" && node.operator === "in" && isSubject(node.right, subject)) {
      const { left } = node;
      if (left.kind === "constant" && typeof left.value === "string") {
        fields.add(left.value);
        return;
      }
    }
    if (isSubject(node, subject)) readsAll = true;
    for (const child of childrenOf(node)) visit(child);
  };
  visit(root);
  return { fields: [...fields].sort(), readsAll };
}

function isSubject(node: Node, subject: string): boolean {
  return node.kind === "variable" && node.name === subject;
}
