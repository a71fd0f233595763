// Finds the rules whose template a path matches: a literal beats "*", "*" beats "**", with backtracking. A path that
// matches a template by a literal never reaches a wildcard in that place, whatever the HTTP method: DELETE of
// "users/events" must not delete the user "events". Each node of the tree is visited at most once for a path.
import type { PathTemplate, TemplateSegment } from "./path-template.ts";

/** Rules at the end of a template, by HTTP method; "*" matches every method. */
export type RulesByMethod<Rule> = Map<string, Rule>;

interface Node<Rule> {
  readonly literals: Map<string, Node<Rule>>;
  one: Node<Rule> | undefined;
  many: Node<Rule> | undefined;
  rules: RulesByMethod<Rule> | undefined;
}

export type PathMatch<Rule> =
  | { readonly kind: "found"; readonly rule: Rule }
  | { readonly kind: "wrong_method"; readonly methods: ReadonlySet<string> }
  | { readonly kind: "not_found" };

export class PathTrie<Rule> {
  /** A tree for each custom verb; "" is the tree of templates without a verb. */
  readonly #roots = new Map<string, Node<Rule>>();

  /** The rules of the template; templates with equal segment kinds share them. */
  at(template: PathTemplate): RulesByMethod<Rule> {
    let node = getOrAdd(this.#roots, template.verb);
    for (const segment of template.segments) node = child(node, segment);
    node.rules ??= new Map();
    return node.rules;
  }

  has(verb: string): boolean {
    return this.#roots.has(verb);
  }

  /**
   * `segments` are decoded. Returns the best match for the method, or the methods of the templates that were tried.
   */
  match(verb: string, segments: readonly string[], method: string): PathMatch<Rule> {
    const root = this.#roots.get(verb);
    return (root && search(root, segments, 0, method)) ?? { kind: "not_found" };
  }
}

/** The rule for the method, else the methods of the rules. */
function take<Rule>(rules: RulesByMethod<Rule>, method: string): PathMatch<Rule> {
  const rule = rules.get(method) ?? (method === "HEAD" ? rules.get("GET") : undefined) ?? rules.get("*");
  return rule === undefined
    ? { kind: "wrong_method", methods: new Set(rules.keys()) }
    : { kind: "found", rule };
}

/** Depth first, in order of precedence; undefined if no template matches. An empty segment matches nothing. */
function search<Rule>(
  node: Node<Rule>,
  segments: readonly string[],
  index: number,
  method: string,
): PathMatch<Rule> | undefined {
  const segment = segments[index];
  if (segment === undefined) {
    const own = node.rules && take(node.rules, method);
    return own?.kind === "found" ? own : either(own, node.many?.rules && take(node.many.rules, method));
  }
  if (segment === "") return undefined;
  const literal = node.literals.get(segment);
  const byLiteral = literal && search(literal, segments, index + 1, method);
  if (byLiteral !== undefined) return byLiteral;
  const byOne = node.one && search(node.one, segments, index + 1, method);
  if (byOne?.kind === "found") return byOne;
  const rest = node.many?.rules;
  return either(byOne, rest === undefined || segments.includes("", index) ? undefined : take(rest, method));
}

/** The second match if it has a rule, else the methods of both. */
function either<Rule>(
  first: PathMatch<Rule> | undefined,
  second: PathMatch<Rule> | undefined,
): PathMatch<Rule> | undefined {
  if (first?.kind !== "wrong_method" || second?.kind !== "wrong_method") return second ?? first;
  return { kind: "wrong_method", methods: new Set([...first.methods, ...second.methods]) };
}

function child<Rule>(node: Node<Rule>, segment: TemplateSegment): Node<Rule> {
  if (segment.kind === "one") {
    node.one ??= newNode();
    return node.one;
  }
  if (segment.kind === "many") {
    node.many ??= newNode();
    return node.many;
  }
  return getOrAdd(node.literals, segment.text);
}

function getOrAdd<Rule>(nodes: Map<string, Node<Rule>>, key: string): Node<Rule> {
  const node = nodes.get(key) ?? newNode<Rule>();
  nodes.set(key, node);
  return node;
}

function newNode<Rule>(): Node<Rule> {
  return { literals: new Map(), one: undefined, many: undefined, rules: undefined };
}
