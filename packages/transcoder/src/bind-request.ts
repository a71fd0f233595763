// Binds an HTTP request to the method's message: body, then query, then path.
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { type FieldMask, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { AppError } from "@muster/errors";
import { DecodeError, under } from "./json/decode-error.ts";
import type { MessageCodecs } from "./json/message-codec.ts";
import { type DecodeContext, isJsonObject, parseJson, textContext } from "./json/parse-json.ts";
import type { LocalMessage } from "./json/value-codec.ts";
import { bindQuery, type QueryParameter } from "./query.ts";
import { getAt, setAt } from "./routes/field-path.ts";
import type { TemplateVariable } from "./routes/path-template.ts";
import { isHttpBody, type Route } from "./routes/route.ts";
import type { RequestPath } from "./routes/route-table.ts";

export interface RequestParts {
  readonly path: RequestPath;
  readonly query: readonly QueryParameter[];
  readonly contentType: string | undefined;
  /** The If-Match header. */
  readonly ifMatch?: string | undefined;
  /** Empty for a request without a body. */
  readonly body: Uint8Array;
}

const JSON_MEDIA_TYPE = /^application\/json(?:\s*;\s*charset\s*=\s*"?utf-?8"?)?\s*;?\s*$/i;
/** Media types that tracking clients and navigator.sendBeacon use for JSON. */
const MISLABELED_JSON = /^(?:(?:application\/x-www-form-urlencoded|text\/plain)\s*(?:;.*)?)?$/i;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Throws DecodeError (with the path of the request's field) or AppError. */
export function bindRequest(codecs: MessageCodecs, route: Route, parts: RequestParts): Message {
  const message = create(route.method.input);
  const local = message as unknown as LocalMessage;
  bindBody(codecs, route, parts, local);
  bindQuery(codecs, route, parts.query, local);
  bindPath(route, parts.path, local);
  const { ifMatchField, rawBodyField } = route;
  if (rawBodyField !== undefined) local[rawBodyField.localName] = parts.body;
  if (ifMatchField !== undefined && parts.ifMatch !== undefined)
    local[ifMatchField.localName] = parts.ifMatch;
  return message;
}

function bindBody(codecs: MessageCodecs, route: Route, parts: RequestParts, message: LocalMessage): void {
  const { body: binding, bodyBytesMax } = route;
  if (bodyBytesMax !== undefined && parts.body.length > bodyBytesMax) {
    throw new AppError("TOO_LARGE", {
      message: `A body is at most ${bodyBytesMax} bytes here.`,
      details: { limit_bytes: String(bodyBytesMax) },
    });
  }
  if (binding.kind === "none") {
    if (parts.body.length > 0) throw new DecodeError("This method takes no body.");
    return;
  }
  const desc = bodyMessage(codecs, route);
  if (isHttpBody(desc)) {
    bindHttpBody(route, parts, message);
    return;
  }
  const parsed = readJson(route, parts, desc !== undefined);
  if (parsed === undefined) return;
  const { value, context } = parsed;
  try {
    if (desc !== undefined) {
      const target = binding.kind === "message" ? message : (create(desc) as unknown as LocalMessage);
      const ownMask = route.maskField === undefined ? undefined : maskKeys(route.maskField);
      codecs.message(desc).decodeInto(target, value, context, ownMask);
      if (binding.kind === "field") setAt(message, binding.path, target);
      bindMask(codecs, route, desc, value, context, message);
    } else if (binding.kind === "field") {
      if (value === null) throw new DecodeError("must not be null");
      binding.path.codec.read(message, value, context);
    }
  } catch (error) {
    if (error instanceof DecodeError && error.path === "")
      throw new DecodeError(`The body ${error.message}.`);
    throw error;
  }
}

/**
 * The message type of the body's JSON object; undefined where the body is a list, a map or a single value.
 */
function bodyMessage(codecs: MessageCodecs, { method, body }: Route): DescMessage | undefined {
  if (body.kind === "message") return method.input;
  if (body.kind === "none" || body.field.fieldKind !== "message") return undefined;
  const { message } = body.field;
  return codecs.value(message) === codecs.message(message) && !isWrapperDesc(message) ? message : undefined;
}

/** The body's value; a missing body is an empty object where the target is a message, else undefined. */
function readJson(
  route: Route,
  parts: RequestParts,
  object: boolean,
): { value: unknown; context: DecodeContext } | undefined {
  if (parts.body.length === 0) return object ? { value: {}, context: textContext() } : undefined;
  const label = parts.contentType ?? "";
  if (!JSON_MEDIA_TYPE.test(label) && !(route.anyMediaType && MISLABELED_JSON.test(label)))
    throw new AppError("MEDIA_TYPE_UNSUPPORTED");
  let text: string;
  try {
    text = utf8.decode(parts.body);
  } catch {
    throw new DecodeError("The body is not valid UTF-8.");
  }
  return parseJson(text, { ignoreUnknown: route.ignoreUnknown, keepNumbers: route.keepNumbers });
}

function bindHttpBody(route: Route, parts: RequestParts, message: LocalMessage): void {
  const content = { contentType: parts.contentType ?? "", data: parts.body };
  if (route.body.kind !== "field") {
    Object.assign(message, content);
  } else if (route.body.field.fieldKind === "message") {
    setAt(message, route.body.path, create(route.body.field.message, content));
  }
}

function maskKeys(field: { readonly name: string; readonly jsonName: string }): ReadonlySet<string> {
  return new Set([field.name, field.jsonName]);
}

/**
 * The mask from the body's key with the mask's name, else from the body's other keys. The query may replace
 * the mask.
 */
function bindMask(
  codecs: MessageCodecs,
  route: Route,
  desc: DescMessage,
  body: unknown,
  context: DecodeContext,
  message: LocalMessage,
): void {
  const { maskField } = route;
  if (maskField === undefined || !isJsonObject(body, context)) return;
  const { name, jsonName } = maskField;
  if (name !== jsonName && Object.hasOwn(body, name) && Object.hasOwn(body, jsonName)) {
    throw new DecodeError(`is given twice, as ${name} and ${jsonName}`).under(name);
  }
  const own = body[name] ?? body[jsonName];
  if (own !== undefined && own !== null) {
    const codec = codecs.message(route.method.input).reader(maskField.name);
    under(maskField.name, () => codec?.read(message, own, context));
    return;
  }
  const bound = new Set(route.bindings.map(({ path }) => path.name));
  const paths = new Set<string>();
  for (const key of Object.keys(body)) {
    const path = codecs.message(desc).reader(key)?.field.name;
    if (path === undefined || path === name) continue;
    if (route.body.kind === "message" && bound.has(path)) continue;
    paths.add(path);
  }
  const mask: FieldMask = { $typeName: "google.protobuf.FieldMask", paths: [...paths] };
  message[maskField.localName] = mask;
}

/** The text that the path has for the field; undefined where the path does not contain the field. */
export function boundText(route: Route, path: RequestPath, field: string): string | undefined {
  const binding = route.bindings.find((one) => one.path.name === field);
  return binding && capturedText(route, path, binding.variable);
}

function capturedText(route: Route, path: RequestPath, { single, start, end }: TemplateVariable): string {
  if (single) return path.decoded[start] ?? "";
  return captureMany(path, start, isOpenEnded(route, end) ? path.raw.length : end);
}

function bindPath(route: Route, path: RequestPath, message: LocalMessage): void {
  for (const { variable, path: field } of route.bindings) {
    const text = capturedText(route, path, variable);
    const value = under(field.name, () => field.codec.value.fromText?.(text));
    const given = getAt(message, field);
    if (given !== undefined && !isZero(given) && given !== value) {
      throw new DecodeError("differs from the path").under(field.name);
    }
    under(field.name, () => setAt(message, field, value));
  }
}

function isOpenEnded(route: Route, end: number): boolean {
  return route.template.segments[end - 1]?.kind === "many";
}

/** Several segments as a single text: decoded, except that an encoded slash stays encoded. */
function captureMany(path: RequestPath, start: number, end: number): string {
  return path.raw
    .slice(start, end)
    .map((segment) => segment.split(/(%2f)/i))
    .map((parts) => parts.map((part, index) => (index % 2 === 1 ? part : decodeURIComponent(part))).join(""))
    .join("/");
}

function isZero(value: unknown): boolean {
  return (
    value === "" ||
    value === 0 ||
    value === 0n ||
    value === "0" ||
    value === false ||
    typeof value === "object"
  );
}
