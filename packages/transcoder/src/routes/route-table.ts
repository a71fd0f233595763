// Finds the route of a method and path among all services. Construction fails where two rules could match the
// same request.
import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { http } from "@muster/contracts/google/api/annotations_pb";
import { Access, policy, rest } from "@muster/contracts/muster/options/v1/options_pb";
import { DecodeError } from "../json/decode-error.ts";
import type { MessageCodecs } from "../json/message-codec.ts";
import { parsePathTemplate } from "./path-template.ts";
import { type PathMatch, PathTrie } from "./path-trie.ts";
import { compileRoute, nameOfMethod, type Route } from "./route.ts";

/** A second prefix for the same paths. A rule of its own under the alias wins. */
export interface PathAlias {
  /** Such as "/v1/". */
  readonly prefix: string;
  /** Such as "/api/". */
  readonly alias: string;
}

/** The segments of a path, encoded and decoded. */
export interface RequestPath {
  readonly raw: readonly string[];
  readonly decoded: readonly string[];
}

export interface RouteMatch {
  readonly result: PathMatch<Route>;
  readonly path: RequestPath;
}

export class RouteTable {
  readonly #trie = new PathTrie<Route>();
  /** Routes that accept a trailing slash, stored without the slash. */
  readonly #slashed = new PathTrie<Route>();
  readonly #routes: Route[] = [];

  constructor(services: readonly DescService[], codecs: MessageCodecs, alias?: PathAlias) {
    for (const method of services.flatMap((service) => service.methods)) {
      for (const route of compileMethod(codecs, method)) this.#add(route);
    }
    if (alias === undefined) return;
    for (const route of [...this.#routes]) this.#addAlias(route, alias);
  }

  get routes(): readonly Route[] {
    return this.#routes;
  }

  /**
   * `path` is the URL's path, still encoded, without the query. Throws DecodeError for an invalid encoding.
   */
  match(method: string, path: string): RouteMatch {
    const segments = path.slice(1).split("/");
    const isSlashed = segments.length > 1 && segments.at(-1) === "";
    const raw = isSlashed ? segments.slice(0, -1) : segments;
    const trie = isSlashed ? this.#slashed : this.#trie;
    const last = raw.at(-1) ?? "";
    // A raw colon starts a custom verb if the route table has that verb; an encoded colon never does.
    const colon = last.lastIndexOf(":");
    const verb = colon < 0 ? "" : decodeSegment(last.slice(colon + 1));
    if (verb !== "" && trie.has(verb)) {
      // The name before the verb is empty, which matches no route.
      if (colon === 0) return { result: { kind: "not_found" }, path: { raw, decoded: raw } };
      const found = lookUp(trie, method, verb, [...raw.slice(0, -1), last.slice(0, colon)]);
      if (found.result.kind !== "not_found") return found;
    }
    return lookUp(trie, method, "", raw);
  }

  #add(route: Route): void {
    const rules = this.#trie.at(route.template);
    const other = rules.get(route.verb);
    if (other !== undefined) {
      throw new Error(
        `${nameOfMethod(route.method)} (${route.verb} ${route.template.text}) and ` +
          `${nameOfMethod(other.method)} (${other.verb} ${other.template.text}) match the same requests`,
      );
    }
    rules.set(route.verb, route);
    if (route.trailingSlash) this.#slashed.at(route.template).set(route.verb, route);
    this.#routes.push(route);
  }

  #addAlias(route: Route, { prefix, alias }: PathAlias): void {
    const { text } = route.template;
    if (!text.startsWith(prefix)) return;
    if (hasOption(route.method, rest) && getOption(route.method, rest).noApiAlias) return;
    const template = parsePathTemplate(alias + text.slice(prefix.length));
    const aliased = { ...route, template };
    if (!this.#trie.at(template).has(route.verb)) this.#add(aliased);
  }
}

function lookUp(trie: PathTrie<Route>, method: string, verb: string, raw: readonly string[]): RouteMatch {
  const decoded = raw.map(decodeSegment);
  return { result: trie.match(verb, decoded, method), path: { raw, decoded } };
}

function compileMethod(codecs: MessageCodecs, method: DescMethod): Route[] {
  if (!hasOption(method, http)) return [];
  if (method.methodKind !== "unary" && method.methodKind !== "server_streaming") {
    throw new Error(`${nameOfMethod(method)}: a stream of requests has no HTTP rule`);
  }
  if (hasOption(method, policy) && getOption(method, policy).access === Access.INTERNAL) return [];
  const rule = getOption(method, http);
  if (rule.additionalBindings.some((binding) => binding.additionalBindings.length > 0)) {
    throw new Error(`${nameOfMethod(method)}: additional_bindings are nested`);
  }
  return [rule, ...rule.additionalBindings].map((binding) => compileRoute(codecs, method, binding));
}

function decodeSegment(segment: string): string {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new DecodeError("The path has a malformed percent-encoding.");
  }
}

/** A line for each route, sorted: the text of a golden file. */
export function printRouteTable(table: RouteTable): string {
  const lines = table.routes.map((route) => {
    const body =
      route.body.kind === "field" ? route.body.field.name : route.body.kind === "message" ? "*" : "-";
    return [
      route.template.text,
      route.verb,
      nameOfMethod(route.method),
      String(route.status),
      route.permission || "-",
      `body=${body}`,
      `response=${route.responseField?.name ?? "*"}`,
      ...marksOf(route),
    ];
  });
  lines.sort((a, b) => compare(`${a[0]} ${a[1]}`, `${b[0]} ${b[1]}`));
  return `${lines.map(([path, verb, ...rest]) => [verb, path, ...rest].join(" ")).join("\n")}\n`;
}

/** Options of a route that differ from the defaults. */
function marksOf({ ignoreUnknown, trailingSlash, anyMediaType, bodyBytesMax }: Route): string[] {
  return [
    ...(ignoreUnknown ? ["ignore_unknown"] : []),
    ...(trailingSlash ? ["trailing_slash"] : []),
    ...(anyMediaType ? ["any_media_type"] : []),
    ...(bodyBytesMax === undefined ? [] : [`body_bytes_max=${bodyBytesMax}`]),
  ];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
