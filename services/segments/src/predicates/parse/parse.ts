// Pure. Parses CEL expressions into a syntax tree by recursive descent with bounded recursion.
import {
  type BinaryOperator,
  childrenOf,
  type Macro,
  type MapEntry,
  type Node,
  type Shape,
} from "./syntax-tree.ts";
import { isReserved, TokenCursor } from "./token-cursor.ts";

const RELATIONS: ReadonlySet<string> = new Set(["<", "<=", ">", ">=", "==", "!=", "in"]);
const MACROS: ReadonlySet<string> = new Set(["exists", "all", "exists_one", "existsOne", "filter", "map"]);
export function parse(source: string): Node {
  return new Parser(source).parse();
}

class Parser {
  readonly #cursor: TokenCursor;

  constructor(source: string) {
    this.#cursor = new TokenCursor(source);
  }

  parse(): Node {
    if (this.#cursor.peek().kind === "end") this.#cursor.fail("the predicate is empty");
    const node = this.#expression();
    if (this.#cursor.peek().kind !== "end") this.#cursor.unexpected("an operator or the end");
    return node;
  }

  #expression(): Node {
    const condition = this.#chain("||", "or", () => this.#chain("&&", "and", () => this.#relation()));
    const { offset } = this.#cursor.peek();
    if (!this.#cursor.accept("?")) return condition;
    return this.#cursor.nested(offset, () => {
      const then = this.#chain("||", "or", () => this.#chain("&&", "and", () => this.#relation()));
      this.#cursor.expect(":");
      return this.#node(offset, { kind: "conditional", condition, then, otherwise: this.#expression() });
    });
  }

  #chain(sign: string, kind: "and" | "or", term: () => Node): Node {
    const first = term();
    const { offset } = this.#cursor.peek();
    const terms = [first];
    while (this.#cursor.accept(sign)) terms.push(term());
    if (terms.length === 1) return first;
    // Both operators are associative, including errors, so brackets inside a chain have no effect.
    const flat = terms.flatMap((each) => (each.kind === kind ? each.terms : [each]));
    return this.#node(offset, { kind, terms: flat });
  }

  #relation(): Node {
    return this.#binary(RELATIONS, () =>
      this.#binary(new Set(["+", "-"]), () => this.#binary(new Set(["*", "/", "%"]), () => this.#unary())),
    );
  }

  #binary(operators: ReadonlySet<string>, operand: () => Node): Node {
    let left = operand();
    while (true) {
      const token = this.#cursor.peek();
      if ((token.kind !== "sign" && token.kind !== "name") || !operators.has(token.text)) return left;
      this.#cursor.advance();
      const operator = token.text as BinaryOperator;
      left = this.#node(token.offset, { kind: "binary", operator, left, right: operand() });
    }
  }

  #unary(): Node {
    const { offset } = this.#cursor.peek();
    if (this.#cursor.accept("!")) {
      return this.#cursor.nested(offset, () => this.#node(offset, { kind: "not", operand: this.#unary() }));
    }
    if (!this.#cursor.accept("-")) return this.#member();
    const operand = this.#cursor.nested(offset, () => this.#unary());
    if (operand.kind === "constant" && typeof operand.value === "number") {
      return this.#node(offset, { kind: "constant", value: -operand.value });
    }
    return this.#node(offset, { kind: "negate", operand });
  }

  #member(): Node {
    let node = this.#primary();
    while (true) {
      const { offset } = this.#cursor.peek();
      if (this.#cursor.accept("[")) {
        const index = this.#cursor.nested(offset, () => this.#expression());
        this.#cursor.expect("]");
        node =
          index.kind === "constant" && typeof index.value === "string"
            ? this.#node(offset, { kind: "select", target: node, field: index.value })
            : this.#node(offset, { kind: "index", target: node, index });
      } else if (this.#cursor.accept(".")) {
        const name = this.#cursor.fieldName();
        node = this.#cursor.isSign("(")
          ? this.#methodCall(name.offset, node, name.text)
          : this.#node(name.offset, { kind: "select", target: node, field: name.text });
      } else return node;
    }
  }

  #primary(): Node {
    const token = this.#cursor.peek();
    const { offset } = token;
    if (token.kind === "string" || token.kind === "number") {
      this.#cursor.advance();
      return this.#node(offset, { kind: "constant", value: token.value });
    }
    if (this.#cursor.accept("(")) {
      const inner = this.#cursor.nested(offset, () => this.#expression());
      this.#cursor.expect(")");
      return inner;
    }
    if (this.#cursor.accept("[")) {
      return this.#node(offset, {
        kind: "list",
        items: this.#cursor.nested(offset, () => this.#expressions("]")),
      });
    }
    if (this.#cursor.accept("{")) {
      return this.#node(offset, { kind: "map", entries: this.#cursor.nested(offset, () => this.#entries()) });
    }
    if (token.kind !== "name") return this.#cursor.unexpected("a value");
    return this.#named(token.text, offset);
  }

  #named(text: string, offset: number): Node {
    this.#cursor.advance();
    if (text === "true" || text === "false") {
      return this.#node(offset, { kind: "constant", value: text === "true" });
    }
    if (text === "null") return this.#node(offset, { kind: "constant", value: null });
    if (isReserved(text)) this.#cursor.fail(`${text} is a reserved word`, offset);
    if (this.#cursor.isSign("{")) this.#cursor.fail("messages are not supported: JSON has none", offset);
    if (!this.#cursor.accept("(")) return this.#node(offset, { kind: "variable", name: text });
    const args = this.#cursor.nested(offset, () => this.#expressions(")"));
    if (text !== "has") return this.#node(offset, { kind: "call", name: text, target: undefined, args });
    const [path, ...rest] = args;
    if (path?.kind !== "select" || rest.length > 0) {
      return this.#cursor.fail("has() takes one path, such as has(properties.price)", offset);
    }
    return this.#node(offset, { kind: "has", target: path.target, field: path.field });
  }

  #methodCall(offset: number, target: Node, name: string): Node {
    this.#cursor.expect("(");
    const args = this.#cursor.nested(offset, () => this.#expressions(")"));
    const [variable, first, second, ...rest] = args;
    if (!MACROS.has(name)) return this.#node(offset, { kind: "call", name, target, args });
    const macro = (name === "existsOne" ? "exists_one" : name) as Macro;
    if (variable?.kind !== "variable" || first === undefined || rest.length > 0) {
      return this.#cursor.fail(
        `${name} takes a name and a test, such as ${name}(item, item.price > 10)`,
        offset,
      );
    }
    if (second !== undefined && macro !== "map")
      this.#cursor.fail(`${name} takes a name and one test`, offset);
    const shared = { kind: "comprehension", macro, range: target, variable: variable.name } as const;
    if (macro !== "map") return this.#node(offset, { ...shared, test: first, result: undefined });
    return second === undefined
      ? this.#node(offset, { ...shared, test: undefined, result: first })
      : this.#node(offset, { ...shared, test: first, result: second });
  }

  #expressions(close: string): Node[] {
    const nodes: Node[] = [];
    while (!this.#cursor.accept(close)) {
      nodes.push(this.#expression());
      if (this.#cursor.accept(close)) break;
      if (!this.#cursor.isSign(",")) this.#cursor.unexpected(`, or ${close}`);
      this.#cursor.advance();
      // CEL allows a trailing comma in a list, but not in a call.
      if (close === ")" && this.#cursor.isSign(")")) this.#cursor.unexpected("a value");
    }
    return nodes;
  }

  #entries(): MapEntry[] {
    const entries = new Map<string, MapEntry>();
    while (!this.#cursor.accept("}")) {
      const key = this.#cursor.peek();
      if (key.kind !== "string") this.#cursor.unexpected("a string as key, as in JSON");
      else {
        if (entries.has(key.value)) this.#cursor.fail("duplicate key");
        this.#cursor.advance();
        this.#cursor.expect(":");
        entries.set(key.value, { key: key.value, value: this.#expression() });
        if (!this.#cursor.accept(",") && !this.#cursor.isSign("}")) this.#cursor.unexpected(", or }");
      }
    }
    return [...entries.values()];
  }

  #node(offset: number, shape: Shape): Node {
    const depth = 1 + childrenOf(shape).reduce((deepest, child) => Math.max(deepest, child.depth), 0);
    this.#cursor.checkDepth(depth, offset);
    return { ...shape, offset, depth };
  }
}
