// Finds the rules whose template a path matches: a literal beats "*", "*" beats "**", with
// backtracking. Each node of the tree is visited at most once for a path.
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
   * `segments` are decoded. Returns the best match for the method, or the methods of the matching templates.
   */
  match(verb: string, segments: readonly string[], method: string): PathMatch<Rule> {
    const root = this.#roots.get(verb);
    const methods = new Set<string>();
    const rule = root && search(root, segments, 0, (rules) => take(rules, method, methods));
    if (rule !== undefined) return { kind: "found", rule };
    return methods.size === 0 ? { kind: "not_found" } : { kind: "wrong_method", methods };
  }
}

function take<Rule>(rules: RulesByMethod<Rule>, method: string, methods: Set<string>): Rule | undefined {
  const rule = rules.get(method) ?? (method === "HEAD" ? rules.get("GET") : undefined) ?? rules.get("*");
  if (rule === undefined) for (const other of rules.keys()) methods.add(other);
  return rule;
}

/** Depth first, in order of precedence. An empty segment matches nothing. */
function search<Rule>(
  node: Node<Rule>,
  segments: readonly string[],
  index: number,
  accept: (rules: RulesByMethod<Rule>) => Rule | undefined,
): Rule | undefined {
  const segment = segments[index];
  if (segment === undefined) {
    const found = node.rules && accept(node.rules);
    return found ?? (node.many?.rules && accept(node.many.rules));
  }
  if (segment === "") return undefined;
  const literal = node.literals.get(segment);
  const found =
    (literal && search(literal, segments, index + 1, accept)) ??
    (node.one && search(node.one, segments, index + 1, accept));
  if (found !== undefined) return found;
  const rest = node.many?.rules;
  return rest === undefined || segments.includes("", index) ? undefined : accept(rest);
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
