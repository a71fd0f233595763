// Pure. Bounds the units of work of one evaluation over the largest data, when a predicate is saved. The bound
// follows the charges of an evaluation: see the callers of `charge`.
import { EVENT_BYTES_MAX } from "@muster/core";
import {
  COMPREHENSION_ITEMS_MAX,
  EVALUATION_UNITS_MAX,
  TIME_TEXT_LENGTH_MAX,
  UNITS_PER_VALUE,
} from "../parse/limits.ts";
import { bodyOf, childrenOf, type Node, type NodeOf, nodesOf } from "../parse/syntax-tree.ts";
import { FUNCTIONS } from "../values/functions.ts";

/** The sizes of the data that a node may read, in characters of JSON. */
interface Sizes {
  readonly subject: string;
  readonly data: number;
  /** The item of the surrounding comprehension. */
  readonly item: number;
}

/** Units per character of a map for its keys: `"k":1,` has six characters and one key. */
const KEY_UNITS_PER_CHARACTER = 2;

/** At most EVALUATION_UNITS_MAX, because an evaluation ends there. */
export function worstCaseUnits(root: Node, subject: string): number {
  const sizes = { subject, data: EVENT_BYTES_MAX, item: 0 };
  return Math.min(EVALUATION_UNITS_MAX, unrepeatedNodesOf(root) + unitsOf(root, sizes));
}

/** Nodes that are visited at most once: all nodes outside the bodies of comprehensions. */
export function unrepeatedNodesOf(root: Node): number {
  const children = root.kind === "comprehension" ? [root.range] : childrenOf(root);
  return children.reduce((nodes, child) => nodes + unrepeatedNodesOf(child), 1);
}

function unitsOf(node: Node, sizes: Sizes): number {
  if (node.kind === "comprehension") return unitsOfComprehension(node, sizes);
  const children = childrenOf(node).reduce((units, child) => units + unitsOf(child, sizes), 0);
  return children + ownUnitsOf(node, sizes);
}

function ownUnitsOf(node: Node, sizes: Sizes): number {
  switch (node.kind) {
    case "binary":
      return unitsOfBinary(node, sizes);
    case "index":
      return 1 + (sizeOf(node.index, sizes) >> 3);
    case "call": {
      const [first, second] = node.target === undefined ? node.args : [node.target, ...node.args];
      const length = (arg: Node | undefined) => (arg === undefined ? 0 : sizeOf(arg, sizes));
      return FUNCTIONS.get(node.name)?.units(length(first), length(second)) ?? 0;
    }
    default:
      return 0;
  }
}

function unitsOfBinary({ operator, left, right }: NodeOf<"binary">, sizes: Sizes): number {
  const [one, other] = [sizeOf(left, sizes), sizeOf(right, sizes)];
  switch (operator) {
    case "==":
    case "!=": {
      const shorter = Math.min(one, other);
      if (isScalar(left) || isScalar(right)) return UNITS_PER_VALUE + (shorter >> 5);
      return UNITS_PER_VALUE * (1 + shorter) + KEY_UNITS_PER_CHARACTER * (one + other);
    }
    case "in":
      if (right.kind === "list" && right.items.every(({ kind }) => kind === "constant"))
        return 1 + (one >> 3);
      return 1 + (one >> 3) + (UNITS_PER_VALUE + KEY_UNITS_PER_CHARACTER) * (1 + other);
    case "<":
    case "<=":
    case ">":
    case ">=":
      return Math.min(one, other);
    case "+":
      return isNumber(left) || isNumber(right) ? 0 : one + other;
    default:
      return 0;
  }
}

/**
 * All items together are at most as large as the data. Costs that rise without bound are largest with one item
 * of that size. The costs of timestamps and durations are largest with texts of their longest length.
 */
function unitsOfComprehension(node: NodeOf<"comprehension">, sizes: Sizes): number {
  const body = (item: number) =>
    bodyOf(node).reduce((units, each) => units + nodesOf(each) + unitsOf(each, { ...sizes, item }), 0);
  const range = sizeOf(node.range, sizes);
  const keys = KEY_UNITS_PER_CHARACTER * range;
  const each = body(TIME_TEXT_LENGTH_MAX);
  return unitsOf(node.range, sizes) + keys + COMPREHENSION_ITEMS_MAX * each + (body(range) - body(0));
}

/** Characters of a text, or of the JSON of a list or a map. */
function sizeOf(node: Node, sizes: Sizes): number {
  switch (node.kind) {
    case "constant":
      return typeof node.value === "string" ? node.value.length : 1;
    case "variable":
      return node.name === sizes.subject ? sizes.data : sizes.item;
    case "select":
      return sizeOf(node.target, sizes);
    case "index":
      return sizeOf(node.target, sizes);
    case "list":
    case "map":
      return childrenOf(node).reduce((size, child) => size + 1 + sizeOf(child, sizes), 2);
    case "conditional":
      return Math.max(sizeOf(node.then, sizes), sizeOf(node.otherwise, sizes));
    case "binary":
      return node.operator === "+" ? sizeOf(node.left, sizes) + sizeOf(node.right, sizes) : 1;
    case "call":
      return FUNCTIONS.get(node.name)?.gives === "string"
        ? SHORT + sizeOf(node.target ?? first(node), sizes)
        : 1;
    case "comprehension":
      return sizeOfComprehension(node, sizes);
    default:
      return 1;
  }
}

/** The text of a number or a bool. */
const SHORT = 25;

function first({ args }: NodeOf<"call">): Node {
  return args[0] as Node;
}

function sizeOfComprehension(node: NodeOf<"comprehension">, sizes: Sizes): number {
  if (node.macro !== "filter" && node.macro !== "map") return 1;
  const range = sizeOf(node.range, sizes);
  const { result } = node;
  if (result === undefined) return range;
  const least = sizeOf(result, { ...sizes, item: 0 });
  return COMPREHENSION_ITEMS_MAX * (1 + least) + (sizeOf(result, { ...sizes, item: range }) - least);
}

function isScalar(node: Node): boolean {
  return node.kind === "constant" || (node.kind === "call" && FUNCTIONS.get(node.name)?.gives !== undefined);
}

function isNumber(node: Node): boolean {
  return node.kind === "constant" && typeof node.value === "number";
}
