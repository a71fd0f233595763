// From an HTTP request to the method's message: body, then query, then path.
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { AppError } from "@muster/errors";
import { DecodeError, under } from "./json/decode-error.ts";
import type { LocalMessage } from "./json/field-codec.ts";
import type { MessageCodecs } from "./json/message-codec.ts";
import { type DecodeContext, isJsonObject, parseJson, textContext } from "./json/parse-json.ts";
import { bindQuery, type QueryParameter } from "./query.ts";
import { getAt, setAt } from "./routes/field-path.ts";
import { isHttpBody, type Route } from "./routes/route.ts";
import type { RequestPath } from "./routes/route-table.ts";

export interface RequestParts {
  readonly path: RequestPath;
  readonly query: readonly QueryParameter[];
  readonly contentType: string | undefined;
  /** Empty where there is none. */
  readonly body: Uint8Array;
}

const JSON_MEDIA_TYPE = /^application\/json(?:\s*;\s*charset\s*=\s*"?utf-?8"?)?\s*;?\s*$/i;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Throws DecodeError (whose path is the request field's) or AppError. */
export function bindRequest(codecs: MessageCodecs, route: Route, parts: RequestParts): Message {
  const message = create(route.method.input);
  const local = message as unknown as LocalMessage;
  bindBody(codecs, route, parts, local);
  bindQuery(codecs, route, parts.query, local);
  bindPath(route, parts.path, local);
  return message;
}

function bindBody(codecs: MessageCodecs, route: Route, parts: RequestParts, message: LocalMessage): void {
  const { body: binding } = route;
  if (binding.kind === "none") {
    if (parts.body.length > 0) throw new DecodeError("This method takes no body.");
    return;
  }
  const target = binding.kind === "message" ? route.method.input : binding.field.message;
  const singular = binding.kind === "message" || binding.field.fieldKind === "message";
  if (singular && target !== undefined && isHttpBody(target)) {
    bindHttpBody(route, target, parts, message);
    return;
  }
  const { value, context } = readJson(route, parts, singular);
  if (value === undefined) return;
  if (binding.kind === "message") {
    const ownMask = route.maskField === undefined ? undefined : maskKeys(route.maskField);
    route.input.decodeInto(message, value, context, ownMask);
    bindMask(codecs, route, value, context, message, route.method.input);
    return;
  }
  bindBodyField(codecs, route, value, context, message);
}

function bindBodyField(
  codecs: MessageCodecs,
  route: Route,
  value: unknown,
  context: DecodeContext,
  message: LocalMessage,
): void {
  if (route.body.kind !== "field") return;
  const { field, path } = route.body;
  if (field.fieldKind === "message" && codecs.value(field.message) === codecs.message(field.message)) {
    const child = create(field.message) as unknown as LocalMessage;
    const ownMask = route.maskField === undefined ? undefined : maskKeys(route.maskField);
    under(field.name, () => codecs.message(field.message).decodeInto(child, value, context, ownMask));
    setAt(message, path, child);
    bindMask(codecs, route, value, context, message, field.message);
    return;
  }
  if (value === null) throw new DecodeError("must not be null").under(field.name);
  under(field.name, () => path.codec.read(message, value, context));
}

/** The body's value; for a missing body, an empty object where the target is a message. */
function readJson(
  route: Route,
  parts: RequestParts,
  object: boolean,
): { value: unknown; context: DecodeContext } {
  if (parts.body.length === 0) {
    return { value: object ? {} : undefined, context: textContext() };
  }
  if (!JSON_MEDIA_TYPE.test(parts.contentType ?? "")) throw new AppError("MEDIA_TYPE_UNSUPPORTED");
  let text: string;
  try {
    text = utf8.decode(parts.body);
  } catch {
    throw new DecodeError("The body is not valid UTF-8.");
  }
  return parseJson(text, { ignoreUnknown: route.ignoreUnknown, keepNumbers: route.keepNumbers });
}

function bindHttpBody(route: Route, desc: DescMessage, parts: RequestParts, message: LocalMessage): void {
  const content = { contentType: parts.contentType ?? "", data: parts.body };
  if (route.body.kind === "field") message[route.body.field.localName] = create(desc, content);
  else Object.assign(message, content);
}

function maskKeys(field: { readonly name: string; readonly jsonName: string }): ReadonlySet<string> {
  return new Set([field.name, field.jsonName]);
}

/** The mask from the body's own key of its name, else from the body's other keys. The query may replace it. */
function bindMask(
  codecs: MessageCodecs,
  route: Route,
  body: unknown,
  context: DecodeContext,
  message: LocalMessage,
  desc: DescMessage,
): void {
  const { maskField } = route;
  if (maskField === undefined || !isJsonObject(body, context)) return;
  const own = body[maskField.name] ?? body[maskField.jsonName];
  if (own !== undefined && own !== null) {
    const codec = codecs.message(route.method.input).reader(maskField.name);
    under(maskField.name, () => codec?.read(message, own, context));
    return;
  }
  const bound = new Set(route.bindings.map(({ path }) => path.name));
  const paths = new Set<string>();
  for (const key of Object.keys(body)) {
    const name = codecs.message(desc).reader(key)?.field.name;
    if (name === undefined || name === maskField.name) continue;
    if (route.body.kind === "message" && bound.has(name)) continue;
    paths.add(name);
  }
  const mask: FieldMask = { $typeName: "google.protobuf.FieldMask", paths: [...paths] };
  message[maskField.localName] = mask;
}

function bindPath(route: Route, path: RequestPath, message: LocalMessage): void {
  for (const { variable, path: field } of route.bindings) {
    const text = variable.single
      ? (path.decoded[variable.start] ?? "")
      : captureMany(path, variable.start, isOpenEnded(route, variable.end) ? path.raw.length : variable.end);
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

/** Several segments as one text: decoded, except that an encoded slash stays encoded. */
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
