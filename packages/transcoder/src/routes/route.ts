// Compiles a google.api.http rule into a route and checks the rule against the method's messages.
import { type DescField, type DescMethod, getOption, hasOption, ScalarType } from "@bufbuild/protobuf";
import type { HttpRule } from "@muster/contracts/google/api/http_pb";
import { policy as policyOption, rest as restOption } from "@muster/contracts/muster/options/v1/options_pb";
import { IF_MATCH_FIELD, RAW_BODY_FIELD } from "../json/field-options.ts";
import type { MessageCodec, MessageCodecs } from "../json/message-codec.ts";
import { type FieldPath, resolveFieldPath } from "./field-path.ts";
import { type PathTemplate, parsePathTemplate, type TemplateVariable } from "./path-template.ts";

/** Target of the HTTP body: none, the whole message, or a field. */
export type BodyBinding =
  | { readonly kind: "none" }
  | { readonly kind: "message" }
  | { readonly kind: "field"; readonly field: DescField; readonly path: FieldPath };

export interface PathBinding {
  readonly variable: TemplateVariable;
  readonly path: FieldPath;
}

/** The version of a resource, from the response's message: the fields that lead to the resource, then the version. */
export interface VersionField {
  readonly parents: readonly DescField[];
  readonly field: DescField;
}

export interface Route {
  readonly method: DescMethod;
  /** HTTP method, such as "GET"; "*" matches every method. */
  readonly verb: string;
  readonly template: PathTemplate;
  readonly bindings: readonly PathBinding[];
  readonly body: BodyBinding;
  /** The field of the response that is the HTTP body; undefined means the whole response. */
  readonly responseField: DescField | undefined;
  /** The method streams a google.api.HttpBody. */
  readonly isStream: boolean;
  readonly status: number;
  readonly permission: string;
  /** The request's field for the user that the caller acts on; "" without such a field. */
  readonly selfField: string;
  readonly ignoreUnknown: boolean;
  /** The path is accepted with a trailing slash too. */
  readonly trailingSlash: boolean;
  /** JSON is accepted under the media types of tracking clients. */
  readonly anyMediaType: boolean;
  /** After inflation; undefined where only the server's limit applies. */
  readonly bodyBytesMax: number | undefined;
  /** Deadline of a method that may take longer than the default. */
  readonly deadlineMs: number | undefined;
  readonly maskField: DescField | undefined;
  /** The request's mask that selects the fields of the resources in the response. */
  readonly fieldsField: DescField | undefined;
  /** The version of the resource in the response; responses of the route carry an ETag. */
  readonly versionField: VersionField | undefined;
  /** The request's field for the If-Match header. */
  readonly ifMatchField: DescField | undefined;
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
  /** The request's field for the bytes of the body. */
  readonly rawBodyField: DescField | undefined;
  readonly input: MessageCodec;
  /** A field of the request keeps its JSON as text. */
  readonly keepNumbers: boolean;
}

const HTTP_BODY = "google.api.HttpBody";
const METHOD_TOKEN = /^[A-Z][A-Z-]*$|^\*$/;

export function isHttpBody(desc: { readonly typeName: string } | undefined): boolean {
  return desc?.typeName === HTTP_BODY;
}

export function nameOfMethod(method: DescMethod): string {
  return `${method.parent.typeName}.${method.name}`;
}

/** Throws an Error that names the method where the rule does not fit. */
export function compileRoute(codecs: MessageCodecs, method: DescMethod, rule: HttpRule): Route {
  try {
    return compile(codecs, method, rule);
  } catch (error) {
    throw new Error(`${nameOfMethod(method)}: ${error instanceof Error ? error.message : error}`);
  }
}

function compile(codecs: MessageCodecs, method: DescMethod, rule: HttpRule): Route {
  const { verb, path } = patternOf(rule);
  const template = parsePathTemplate(path);
  const bindings = template.variables.map((variable) => bind(codecs, method, variable));
  const body = bodyOf(codecs, method, rule.body);
  if (body.kind === "field") {
    const bound = bindings.find(({ path: { name } }) => name.split(".")[0] === body.field.name);
    if (bound !== undefined) throw new Error(`${bound.path.name} is in the path and in the body`);
  }
  const rest = hasOption(method, restOption) ? getOption(method, restOption) : undefined;
  const policy = hasOption(method, policyOption) ? getOption(method, policyOption) : undefined;
  const success = rest?.successStatus ?? 0;
  const responseField =
    rule.responseBody === "" ? undefined : fieldOf(method.output, rule.responseBody, "response_body");
  const versionField = rest?.versionField
    ? versionFieldOf(method, responseField, rest.versionField)
    : undefined;
  const isStream = method.methodKind === "server_streaming";
  if (isStream && (verb !== "GET" || !isHttpBody(method.output))) {
    throw new Error("a stream is a GET that returns google.api.HttpBody");
  }
  const ifMatchField = ifMatchFieldOf(method);
  if (versionField !== undefined && verb !== "GET" && verb !== "POST" && ifMatchField === undefined) {
    throw new Error(`version_field: the request has no optional string ${IF_MATCH_FIELD}`);
  }
  return {
    method,
    verb,
    template,
    bindings,
    body,
    isStream,
    responseField,
    versionField,
    ifMatchField,
    status: success !== 0 ? success : method.output.fields.length === 0 ? 204 : 200,
    permission: policy?.permission ?? "",
    selfField: policy?.selfField ?? "",
    deadlineMs: policy?.deadlineSeconds ? policy.deadlineSeconds * 1000 : undefined,
    ignoreUnknown: rest?.ignoreUnknown ?? false,
    trailingSlash: rest?.trailingSlash ?? false,
    anyMediaType: rest?.anyMediaType ?? false,
    bodyBytesMax: rest?.bodyBytesMax || undefined,
    maskField: rest?.maskField ? maskOf(method, rest.maskField, "mask_field") : undefined,
    fieldsField: rest?.fieldsField ? maskOf(method, rest.fieldsField, "fields_field") : undefined,
    requestHeaders: rest?.requestHeaders ?? [],
    responseHeaders: rest?.responseHeaders ?? [],
    rawBodyField: rest?.rawBody ? rawBodyFieldOf(method, body) : undefined,
    input: codecs.message(method.input),
    keepNumbers: codecs.hasRawJson(method.input),
  };
}

function patternOf(rule: HttpRule): { verb: string; path: string } {
  const { pattern } = rule;
  if (pattern.case === undefined) throw new Error("the google.api.http rule has no pattern");
  if (pattern.case !== "custom") return { verb: pattern.case.toUpperCase(), path: pattern.value };
  const verb = pattern.value.kind;
  if (!METHOD_TOKEN.test(verb)) throw new Error(`${JSON.stringify(verb)} is no HTTP method`);
  return { verb, path: pattern.value.path };
}

function bind(codecs: MessageCodecs, method: DescMethod, variable: TemplateVariable): PathBinding {
  const name = variable.fieldPath.join(".");
  const path = resolveFieldPath(codecs, method.input, variable.fieldPath);
  if (path === undefined) throw new Error(`{${name}} is no field of ${method.input.typeName}`);
  const { fieldKind } = path.codec.field;
  if (fieldKind === "list" || fieldKind === "map") throw new Error(`{${name}} is repeated`);
  if (path.codec.value.fromText === undefined) throw new Error(`{${name}} is a message`);
  return { variable, path };
}

function bodyOf(codecs: MessageCodecs, method: DescMethod, body: string): BodyBinding {
  if (body === "") return { kind: "none" };
  if (body === "*") return { kind: "message" };
  const field = fieldOf(method.input, body, "body");
  const path = resolveFieldPath(codecs, method.input, [field.name]);
  if (path === undefined) throw new Error(`body: ${body} is not for clients to fill`);
  return { kind: "field", field, path };
}

function fieldOf(desc: DescMethod["input"], name: string, use: string): DescField {
  const field = desc.fields.find((candidate) => candidate.name === name);
  if (field === undefined) throw new Error(`${use}: ${name} is no field of ${desc.typeName}`);
  return field;
}

function ifMatchFieldOf({ input }: DescMethod): DescField | undefined {
  const field = input.fields.find(({ name }) => name === IF_MATCH_FIELD);
  if (field === undefined) return undefined;
  const isText = field.fieldKind === "scalar" && field.scalar === ScalarType.STRING;
  if (!isText || !field.proto.proto3Optional) throw new Error(`${IF_MATCH_FIELD} is no optional string`);
  return field;
}

function rawBodyFieldOf(method: DescMethod, body: BodyBinding): DescField {
  const field = fieldOf(method.input, RAW_BODY_FIELD, "raw_body");
  const isBytes = field.fieldKind === "scalar" && field.scalar === ScalarType.BYTES;
  if (!isBytes || body.kind !== "message") throw new Error('raw_body: needs a bytes field, and body: "*"');
  return field;
}

/** `path` begins at the HTTP response's body. */
function versionFieldOf(method: DescMethod, body: DescField | undefined, path: string): VersionField {
  const names = path.split(".");
  const parents: DescField[] = body === undefined ? [] : [body];
  for (const name of names.slice(0, -1))
    parents.push(fieldOf(messageAt(method, parents), name, "version_field"));
  const field = fieldOf(messageAt(method, parents), names.at(-1) ?? "", "version_field");
  if (field.fieldKind !== "scalar") throw new Error(`version_field: ${path} is no number`);
  return { parents, field };
}

function messageAt(method: DescMethod, parents: readonly DescField[]): DescMethod["output"] {
  const parent = parents.at(-1);
  if (parent === undefined) return method.output;
  if (parent.fieldKind !== "message") throw new Error(`version_field: ${parent.name} is no message`);
  return parent.message;
}

function maskOf(method: DescMethod, name: string, use: string): DescField {
  const field = fieldOf(method.input, name, use);
  if (field.fieldKind !== "message" || field.message.typeName !== "google.protobuf.FieldMask") {
    throw new Error(`${use}: ${name} is no google.protobuf.FieldMask`);
  }
  return field;
}
