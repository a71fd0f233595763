// Every route of the services, found by (method, path). Built once; refuses to be built where two
// rules could mean the same request.
import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { http } from "@muster/contracts/google/api/annotations_pb";
import { policy, rest } from "@muster/contracts/muster/options/v1/options_pb";
import { DecodeError } from "../json/decode-error.ts";
import type { MessageCodecs } from "../json/message-codec.ts";
import { parsePathTemplate } from "./path-template.ts";
import { type PathMatch, PathTrie } from "./path-trie.ts";
import { compileRoute, nameOfMethod, type Route } from "./route.ts";

/** A second prefix under which the same paths answer, unless a rule of their own stands there. */
export interface PathAlias {
  /** Such as "/v1/". */
  readonly prefix: string;
  /** Such as "/api/". */
  readonly alias: string;
}

/** The segments of a path: as they came, and decoded. */
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

  /** `path` is the URL's, still encoded, without its query. Throws DecodeError where it cannot be decoded. */
  match(method: string, path: string): RouteMatch {
    const raw = path.slice(1).split("/");
    const last = raw.at(-1) ?? "";
    // A raw colon starts a custom verb, if there is one of that name; an encoded colon never does.
    const colon = last.lastIndexOf(":");
    const verb = colon < 0 ? "" : decodeSegment(last.slice(colon + 1));
    if (verb !== "" && this.#trie.has(verb)) {
      // What stands before the verb is empty, and so is nothing's name.
      if (colon === 0) return { result: { kind: "not_found" }, path: { raw, decoded: raw } };
      const found = this.#lookUp(method, verb, [...raw.slice(0, -1), last.slice(0, colon)]);
      if (found.result.kind !== "not_found") return found;
    }
    return this.#lookUp(method, "", raw);
  }

  #lookUp(method: string, verb: string, raw: readonly string[]): RouteMatch {
    const decoded = raw.map(decodeSegment);
    return { result: this.#trie.match(verb, decoded, method), path: { raw, decoded } };
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
    this.#routes.push(route);
  }

  #addAlias(route: Route, { prefix, alias }: PathAlias): void {
    const { text } = route.template;
    if (!text.startsWith(prefix)) return;
    if (hasOption(route.method, rest) && getOption(route.method, rest).noApiAlias) return;
    const template = parsePathTemplate(alias + text.slice(prefix.length));
    const twin = { ...route, template };
    if (!this.#trie.at(template).has(route.verb)) this.#add(twin);
  }
}

function compileMethod(codecs: MessageCodecs, method: DescMethod): Route[] {
  if (method.methodKind !== "unary" || !hasOption(method, http)) return [];
  if (hasOption(method, policy) && getOption(method, policy).internal) return [];
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

/** One line for each route, sorted: the text of a golden file. */
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
    ];
  });
  lines.sort((a, b) => compare(`${a[0]} ${a[1]}`, `${b[0]} ${b[1]}`));
  return `${lines.map(([path, verb, ...rest]) => [verb, path, ...rest].join(" ")).join("\n")}\n`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
