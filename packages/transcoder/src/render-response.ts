// Renders the method's response as an HTTP response.
import type { Message } from "@bufbuild/protobuf";
import type { HttpBody } from "@muster/contracts/google/api/httpbody_pb";
import { entityTagOf, isListed, VERSIONED_CACHE_CONTROL } from "./entity-tag.ts";
import { HTTP_STATUS } from "./http-metadata.ts";
import type { MessageCodecs } from "./json/message-codec.ts";
import { encodeSelected } from "./json/selected-fields.ts";
import type { LocalMessage } from "./json/value-codec.ts";
import type { RestResponse } from "./rest.ts";
import { isHttpBody, type Route } from "./routes/route.ts";

const SUCCESS_STATUS = /^2\d\d$/;
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

export function renderResponse(
  codecs: MessageCodecs,
  route: Route,
  response: { readonly message: Message; readonly headers: ReadonlyMap<string, string> },
  shownHeaders: readonly string[],
  /** The fields of the resources that the request selects; empty for every field. */
  selected: readonly string[] = [],
): RestResponse {
  const headers = shownOf(response.headers, shownHeaders);
  const status = statusOf(route, response.headers);
  if (status === NO_CONTENT) return { status, headers, body: undefined };

  const raw = httpBodyOf(route, response.message);
  if (raw !== undefined) {
    headers["content-type"] = raw.contentType === "" ? "application/octet-stream" : raw.contentType;
    return { status, headers, body: raw.data };
  }
  headers["content-type"] = "application/json";
  const body = jsonOf(codecs, route, response.message, selected);
  const entityTag = route.versionField && entityTagOf(codecs, route.versionField, response.message);
  if (entityTag === undefined) return { status, headers, body };
  const tagged = { ...headers, etag: entityTag, "cache-control": VERSIONED_CACHE_CONTROL };
  return { status, headers: tagged, body };
}

/** Returns 304 instead of a response with an ETag that the client sent. */
export function withoutKnownBody(rendered: RestResponse, ifNoneMatch: string | undefined): RestResponse {
  const { etag } = rendered.headers;
  if (etag === undefined || ifNoneMatch === undefined || !isListed(etag, ifNoneMatch)) return rendered;
  const { "content-type": _, ...headers } = rendered.headers;
  return { ...rendered, status: NOT_MODIFIED, headers, body: undefined };
}

/** Metadata of the response that the client receives as headers. */
export function shownOf(
  metadata: ReadonlyMap<string, string>,
  shownHeaders: readonly string[],
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of shownHeaders) {
    const value = metadata.get(name);
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}

/** The method's status, unless the handler sets another success by metadata. */
export function statusOf(route: Route, metadata: ReadonlyMap<string, string>): number {
  const wanted = metadata.get(HTTP_STATUS) ?? "";
  return SUCCESS_STATUS.test(wanted) ? Number(wanted) : route.status;
}

function jsonOf(codecs: MessageCodecs, route: Route, message: Message, selected: readonly string[]): string {
  const { output } = route.method;
  if (selected.length > 0) {
    return encodeSelected(codecs, output, route.responseField, message as unknown as LocalMessage, selected);
  }
  if (route.responseField === undefined) return codecs.value(output).encode(message);
  const codec = codecs.message(output).reader(route.responseField.name);
  return codec?.write(message as unknown as LocalMessage) ?? "null";
}

/** The raw body where the response, or the field that is the HTTP body, is a google.api.HttpBody. */
function httpBodyOf(
  { method, responseField }: Route,
  message: Message,
): Pick<HttpBody, "contentType" | "data"> | undefined {
  if (responseField === undefined) {
    return isHttpBody(method.output) ? (message as HttpBody) : undefined;
  }
  if (responseField.fieldKind !== "message" || !isHttpBody(responseField.message)) return undefined;
  const field = (message as unknown as LocalMessage)[responseField.localName];
  return (field as HttpBody | undefined) ?? { contentType: "", data: new Uint8Array(0) };
}
