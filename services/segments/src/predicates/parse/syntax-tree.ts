// Pure. Defines the syntax tree of a predicate. A macro is one node, a chain of && or || is one node, and
// `a["b"]` is the same node as `a.b`, so that predicates with equal meaning have equal trees.

interface Located {
  /** Start of the node's own operator or name in the source, in UTF-16 units. */
  readonly offset: number;
  /** Levels of the tree from this node down, itself included. */
  readonly depth: number;
}

export type Constant = string | number | boolean | null;

export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%";
export type OrderOperator = "<" | "<=" | ">" | ">=";
export type BinaryOperator = ArithmeticOperator | OrderOperator | "==" | "!=" | "in";

export type Macro = "exists" | "all" | "exists_one" | "filter" | "map";

export type Shape =
  | { readonly kind: "constant"; readonly value: Constant }
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "select"; readonly target: Node; readonly field: string }
  | { readonly kind: "has"; readonly target: Node; readonly field: string }
  | { readonly kind: "index"; readonly target: Node; readonly index: Node }
  | { readonly kind: "list"; readonly items: readonly Node[] }
  | { readonly kind: "map"; readonly entries: readonly MapEntry[] }
  | { readonly kind: "not"; readonly operand: Node }
  | { readonly kind: "negate"; readonly operand: Node }
  | { readonly kind: "and"; readonly terms: readonly Node[] }
  | { readonly kind: "or"; readonly terms: readonly Node[] }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Node;
      readonly right: Node;
    }
  | {
      readonly kind: "conditional";
      readonly condition: Node;
      readonly then: Node;
      readonly otherwise: Node;
    }
  | {
      readonly kind: "call";
      readonly name: string;
      /** Undefined for `name(args)`. */
      readonly target: Node | undefined;
      readonly args: readonly Node[];
    }
  | ({ readonly kind: "comprehension" } & Comprehension);

export interface MapEntry {
  readonly key: string;
  readonly value: Node;
}

export interface Comprehension {
  readonly macro: Macro;
  readonly range: Node;
  readonly variable: string;
  /** Undefined for `map(x, result)` without a test. */
  readonly test: Node | undefined;
  /** The expression that `map` evaluates for each item. */
  readonly result: Node | undefined;
}

export type Node = Shape & Located;
export type NodeOf<Kind extends Shape["kind"]> = Extract<Node, { kind: Kind }>;

export function childrenOf(shape: Shape): readonly Node[] {
  switch (shape.kind) {
    case "constant":
    case "variable":
      return [];
    case "select":
    case "has":
      return [shape.target];
    case "index":
      return [shape.target, shape.index];
    case "list":
      return shape.items;
    case "map":
      return shape.entries.map((entry) => entry.value);
    case "not":
    case "negate":
      return [shape.operand];
    case "and":
    case "or":
      return shape.terms;
    case "binary":
      return [shape.left, shape.right];
    case "conditional":
      return [shape.condition, shape.then, shape.otherwise];
    case "call":
      return shape.target === undefined ? shape.args : [shape.target, ...shape.args];
    case "comprehension":
      return [shape.range, shape.test, shape.result].filter((node) => node !== undefined);
  }
}

/** The parts of a comprehension that are evaluated for each item. */
export function bodyOf({ test, result }: Comprehension): Node[] {
  return [test, result].filter((node) => node !== undefined);
}

/** Number of nodes of the tree, itself included. */
export function nodesOf(node: Node): number {
  return childrenOf(node).reduce((nodes, child) => nodes + nodesOf(child), 1);
}
