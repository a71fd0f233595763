// The query string: split and decoded strictly, then bound to the fields that neither path nor body take.
import { DecodeError, under } from "./json/decode-error.ts";
import { type FieldOptions, fieldOptions } from "./json/field-options.ts";
import type { MessageCodecs } from "./json/message-codec.ts";
import { parseBareDate } from "./json/time-text.ts";
import type { LocalMessage } from "./json/value-codec.ts";
import { type FieldPath, resolveFieldPath, setAt } from "./routes/field-path.ts";
import type { Route } from "./routes/route.ts";

export interface QueryParameter {
  readonly name: string;
  readonly value: string;
}

/** "+" is a space. Throws DecodeError where the percent-encoding is malformed. */
export function parseQuery(query: string): QueryParameter[] {
  if (query === "") return [];
  return query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const equals = pair.indexOf("=");
      return equals < 0
        ? { name: decode(pair), value: "" }
        : { name: decode(pair.slice(0, equals)), value: decode(pair.slice(equals + 1)) };
    });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw new DecodeError("The query has a malformed percent-encoding.");
  }
}

/** Throws DecodeError naming the parameter that is unknown, given twice or of the wrong type. */
export function bindQuery(
  codecs: MessageCodecs,
  route: Route,
  parameters: readonly QueryParameter[],
  message: LocalMessage,
): void {
  const given = new Set<string>();
  const lists = new Map<string, unknown[]>();
  for (const { name, value } of parameters) {
    const path = queryField(codecs, route, name);
    if (path === undefined) {
      if (route.ignoreUnknown) continue;
      throw new DecodeError("is not a known query parameter").under(name);
    }
    const { field } = path.codec;
    if (field.fieldKind === "list") {
      let items = lists.get(path.name);
      if (items === undefined) {
        items = [];
        lists.set(path.name, items);
        setAt(message, path, items);
      }
      items.push(...readItems(path, value));
      continue;
    }
    if (given.has(path.name)) throw new DecodeError("is given more than once").under(path.name);
    given.add(path.name);
    under(path.name, () => setAt(message, path, readText(path, fieldOptions(field), value)));
  }
}

/** The field that a parameter may set: not one of the path or the body, and of a type with a text form. */
function queryField(codecs: MessageCodecs, route: Route, name: string): FieldPath | undefined {
  const names = name.split(".");
  const path = resolveFieldPath(codecs, route.method.input, names);
  if (path === undefined || path.codec.value.fromText === undefined) return undefined;
  const { field } = path.codec;
  if (field.fieldKind === "map") return undefined;
  if (route.bindings.some((binding) => binding.path.name === path.name)) return undefined;
  const isMask = route.maskField?.name === path.name;
  if (route.body.kind === "message" && !isMask) return undefined;
  if (route.body.kind === "field" && route.body.field.name === path.name.split(".")[0]) return undefined;
  return path;
}

function readItems(path: FieldPath, text: string): unknown[] {
  const options = fieldOptions(path.codec.field);
  const texts = options.commaList ? text.split(",").filter((item) => item !== "") : [text];
  return texts.map((item) => under(path.name, () => readText(path, options, item)));
}

function readText(path: FieldPath, options: FieldOptions, text: string): unknown {
  if (options.bareDate !== undefined) {
    const instant = parseBareDate(text, options.bareDate === "end");
    if (instant !== undefined) return { $typeName: "google.protobuf.Timestamp", ...instant };
  }
  return path.codec.value.fromText?.(text);
}
