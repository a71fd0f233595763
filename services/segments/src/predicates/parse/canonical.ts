// Pure. Writes a syntax tree as canonical text. Predicates that differ only in spaces, brackets, quotes,
// number spellings and names of comprehension variables have equal text. Segments share matchers by this
// text, so a change here changes the keys under which facts are stored.
import type { BinaryOperator, Comprehension, Node, NodeOf } from "./syntax-tree.ts";
import { isFieldName } from "./token-cursor.ts";

/** Precedence levels of CEL's grammar; a larger number binds tighter. */
const CONDITIONAL = 1;
const OR = 2;
const AND = 3;
const RELATION = 4;
const SUM = 5;
const PRODUCT = 6;
const UNARY = 7;
const MEMBER = 8;

const BINDING: Readonly<Record<BinaryOperator, number>> = {
  "==": RELATION,
  "!=": RELATION,
  "<": RELATION,
  "<=": RELATION,
  ">": RELATION,
  ">=": RELATION,
  in: RELATION,
  "+": SUM,
  "-": SUM,
  "*": PRODUCT,
  "/": PRODUCT,
  "%": PRODUCT,
};

export function canonicalText(root: Node, subject: string): string {
  // Comprehensions do not nest, so one name is enough.
  const item = "item";

  function write(node: Node, binding = CONDITIONAL): string {
    const own = bindingOf(node);
    const text = writeBare(node);
    return own < binding ? `(${text})` : text;
  }

  function writeBare(node: Node): string {
    switch (node.kind) {
      case "constant":
        return JSON.stringify(node.value);
      case "variable":
        return node.name === subject ? subject : item;
      case "select":
        return writeSelect(node);
      case "has":
        return `has(${writeSelect(node)})`;
      case "index":
        return `${write(node.target, MEMBER)}[${write(node.index)}]`;
      case "list":
        return `[${writeAll(node.items)}]`;
      case "map":
        return `{${writeEntries(node)}}`;
      case "not":
        return `!${write(node.operand, UNARY)}`;
      case "negate":
        return `-${write(node.operand, UNARY)}`;
      case "and":
        return node.terms.map((term) => write(term, AND + 1)).join(" && ");
      case "or":
        return node.terms.map((term) => write(term, OR + 1)).join(" || ");
      case "binary":
        return `${write(node.left, own(node))} ${node.operator} ${write(node.right, own(node) + 1)}`;
      case "conditional":
        return `${write(node.condition, OR)} ? ${write(node.then, OR)} : ${write(node.otherwise)}`;
      case "call":
        return `${node.target === undefined ? "" : `${write(node.target, MEMBER)}.`}${node.name}(${writeAll(node.args)})`;
      case "comprehension":
        return writeComprehension(node);
    }
  }

  function writeSelect({ target, field }: NodeOf<"select"> | NodeOf<"has">): string {
    const path = write(target, MEMBER);
    return isFieldName(field) ? `${path}.${field}` : `${path}[${JSON.stringify(field)}]`;
  }

  function writeAll(nodes: readonly Node[]): string {
    return nodes.map((node) => write(node)).join(", ");
  }

  function writeEntries({ entries }: NodeOf<"map">): string {
    return entries
      .map(({ key, value }) => `${JSON.stringify(key)}: ${write(value)}`)
      .sort()
      .join(", ");
  }

  function writeComprehension({ range, macro, test, result }: Comprehension): string {
    const body = [test, result].filter((node) => node !== undefined);
    return `${write(range, MEMBER)}.${macro}(${item}, ${writeAll(body)})`;
  }

  return write(root);
}

function own(node: NodeOf<"binary">): number {
  return BINDING[node.operator];
}

function bindingOf(node: Node): number {
  switch (node.kind) {
    case "conditional":
      return CONDITIONAL;
    case "or":
      return OR;
    case "and":
      return AND;
    case "binary":
      return BINDING[node.operator];
    case "not":
    case "negate":
      return UNARY;
    case "constant":
      return typeof node.value === "number" && node.value < 0 ? UNARY : MEMBER;
    default:
      return MEMBER;
  }
}
