// Transcodes REST to RPC and back: finds the route, builds the message, calls the method, renders the
// response.
import { createRegistry, type DescService, type Message } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { AppError } from "@muster/errors";
import { bindRequest, boundText } from "./bind-request.ts";
import { DecodeError } from "./json/decode-error.ts";
import { MessageCodecs } from "./json/message-codec.ts";
import type { LocalMessage } from "./json/value-codec.ts";
import { parseQuery, type QueryParameter } from "./query.ts";
import { type ErrorContext, renderError, toAppError } from "./render-error.ts";
import { renderResponse, withoutKnownBody } from "./render-response.ts";
import type { MethodCaller, RestContext, RestRequest, RestResponse } from "./rest.ts";
import type { Route } from "./routes/route.ts";
import { type PathAlias, printRouteTable, type RouteMatch, RouteTable } from "./routes/route-table.ts";
import { streamResponse } from "./stream-response.ts";

/** A query parameter that becomes metadata instead of a field, for methods without a field of that name. */
export interface QueryMetadata {
  readonly metadata: string;
  readonly values: readonly string[];
}

export interface TranscoderOptions {
  readonly services: readonly DescService[];
  /** Returns the caller of the route's service. */
  readonly caller: (route: Route) => MethodCaller;
  readonly alias?: PathAlias;
  /** By the query parameter's name. */
  readonly queryMetadata?: Readonly<Record<string, QueryMetadata>>;
  /**
   * Request headers that every method receives as metadata, in lower case. A method's option adds further
   * headers.
   */
  readonly requestHeaders?: readonly string[];
  /** Metadata of the response that clients receive as headers. A method's option adds further headers. */
  readonly responseHeaders?: readonly string[];
}

const VISIBLE_ASCII = /^[\x20-\x7e]*$/;
const NO_BODY = new Uint8Array(0);

/** Throws during construction, naming the method, where a google.api.http rule is wrong or ambiguous. */
export class Transcoder {
  readonly #options: TranscoderOptions;
  readonly #codecs: MessageCodecs;
  readonly #table: RouteTable;

  constructor(options: TranscoderOptions) {
    this.#options = options;
    this.#codecs = new MessageCodecs(createRegistry(...options.services.map((service) => service.file)));
    this.#table = new RouteTable(options.services, this.#codecs, options.alias);
  }

  get routes(): readonly Route[] {
    return this.#table.routes;
  }

  /** A line for each route, for a golden file. */
  printRoutes(): string {
    return printRouteTable(this.#table);
  }

  /** Never rejects: every failure becomes a response with the error envelope. */
  async handle(request: RestRequest, context: RestContext): Promise<RestResponse> {
    let route: Route | undefined;
    try {
      const queryStart = request.url.indexOf("?");
      const path = queryStart < 0 ? request.url : request.url.slice(0, queryStart);
      const match = this.#table.match(request.method, path);
      if (match.result.kind !== "found") return respondWithoutRoute(request, match, context);
      route = match.result.rule;
      const query = queryStart < 0 ? "" : request.url.slice(queryStart + 1);
      const rendered = await this.#call(request, context, route, match, query);
      return request.method === "HEAD" && route.verb !== "HEAD" ? withoutBody(rendered) : rendered;
    } catch (error) {
      const failure = toAppError(error);
      // Decoding errors have paths of the client's body already; errors of the method have paths of the
      // message.
      const body = error instanceof AppError ? route?.body : undefined;
      const bodyField = body?.kind === "field" ? body.field.name : undefined;
      const rendered = renderError(failure, { ...errorContext(request, context), bodyField });
      const shown = request.method === "HEAD" ? withoutBody(rendered) : rendered;
      return { ...shown, error: failure, route: route && describe(route) };
    }
  }

  async #call(
    request: RestRequest,
    context: RestContext,
    route: Route,
    { path }: RouteMatch,
    query: string,
  ): Promise<RestResponse> {
    await context.admit?.(route.method, boundText(route, path, route.selfField));
    const signed = await readSigned(request, context, route);
    const headers = this.#requestMetadata(request, context, route);
    const fields = this.#takeQueryMetadata(route, parseQuery(query), headers);
    const contentType = request.headers.get("content-type");
    const ifMatch = request.headers.get("if-match");
    const body = signed ?? (await request.body?.(route.bodyBytesMax)) ?? NO_BODY;
    const parts = { path, query: fields, contentType, ifMatch, body };
    const message: Message = bindRequest(this.#codecs, route, parts);
    const { signal } = context;
    const caller = this.#options.caller(route);
    const shown = [...(this.#options.responseHeaders ?? []), ...route.responseHeaders];
    if (route.isStream) {
      // Without an own limit, a body may take as long as its reader needs.
      const ownMs = route.deadlineMs;
      const deadlineMs = ownMs === undefined ? undefined : context.deadlineOf?.(ownMs);
      const call = { caller, route, message, headers, signal, deadlineMs, shownHeaders: shown };
      return { ...(await streamResponse(request, call)), route: describe(route) };
    }
    const deadlineMs = context.deadlineOf?.(route.deadlineMs);
    const rendered = await caller.unary(route.method, message, { headers, signal, deadlineMs });
    const response = renderResponse(this.#codecs, route, rendered, shown, selectedFields(route, message));
    const ifNoneMatch = route.verb === "GET" ? request.headers.get("if-none-match") : undefined;
    return { ...withoutKnownBody(response, ifNoneMatch), route: describe(route) };
  }

  #requestMetadata({ headers }: RestRequest, context: RestContext, route: Route): Map<string, string> {
    const metadata = new Map<string, string>();
    for (const name of [...(this.#options.requestHeaders ?? []), ...route.requestHeaders]) {
      const value = headers.get(name);
      if (value === undefined) continue;
      // Metadata must be representable by every transport.
      if (!VISIBLE_ASCII.test(value)) throw new DecodeError("must be visible ASCII characters").under(name);
      metadata.set(name, value);
    }
    for (const [name, value] of context.metadata ?? []) metadata.set(name, value);
    return metadata;
  }

  /** Moves parameters such as ?consistency= into the metadata and returns the others. */
  #takeQueryMetadata(
    route: Route,
    query: readonly QueryParameter[],
    metadata: Map<string, string>,
  ): readonly QueryParameter[] {
    const known = this.#options.queryMetadata;
    if (known === undefined || query.length === 0) return query;
    const seen = new Set<string>();
    return query.filter(({ name, value }) => {
      const rule = Object.hasOwn(known, name) ? known[name] : undefined;
      if (rule === undefined || route.input.reader(name) !== undefined) return true;
      if (seen.has(name)) throw new DecodeError("is given more than once").under(name);
      if (!rule.values.includes(value)) {
        throw new DecodeError(`must be one of ${rule.values.join(", ")}`).under(name);
      }
      seen.add(name);
      metadata.set(rule.metadata, value);
      return false;
    });
  }
}

/** Reads a signed body, whose signature counts before the form of anything else; undefined for other routes. */
async function readSigned(
  request: RestRequest,
  context: RestContext,
  route: Route,
): Promise<Uint8Array | undefined> {
  if (route.rawBodyField === undefined) return undefined;
  const body = (await request.body?.(route.bodyBytesMax)) ?? NO_BODY;
  await context.admitBody?.(route.method, body);
  return body;
}

function selectedFields({ fieldsField }: Route, request: Message): readonly string[] {
  if (fieldsField === undefined) return [];
  const mask = (request as unknown as LocalMessage)[fieldsField.localName] as FieldMask | undefined;
  return mask?.paths ?? [];
}

function describe(route: Route): NonNullable<RestResponse["route"]> {
  return { method: route.method, template: route.template.text };
}

function errorContext(request: RestRequest, { requestId }: RestContext): ErrorContext {
  return { requestId, acceptLanguage: request.headers.get("accept-language") };
}

/** 404, 405 with Allow, or the response to OPTIONS. */
function respondWithoutRoute(
  request: RestRequest,
  { result }: RouteMatch,
  context: RestContext,
): RestResponse {
  if (result.kind !== "wrong_method") throw new AppError("ROUTE_NOT_FOUND");
  const methods = new Set(result.methods).add("OPTIONS");
  if (methods.has("GET")) methods.add("HEAD");
  const allow = [...methods].sort().join(", ");
  if (request.method === "OPTIONS") return { status: 204, headers: { allow }, body: undefined };
  const error = new AppError("METHOD_NOT_ALLOWED");
  return { ...renderError(error, { ...errorContext(request, context), headers: { allow } }), error };
}

/** The response to HEAD: the headers of GET without the body. */
function withoutBody(rendered: RestResponse): RestResponse {
  if (rendered.body === undefined) return rendered;
  const length = String(Buffer.byteLength(rendered.body));
  return { ...rendered, headers: { ...rendered.headers, "content-length": length }, body: undefined };
}
