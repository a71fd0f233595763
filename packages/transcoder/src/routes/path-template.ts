// Parses path templates of google.api.http by the grammar of http.proto.

/** A segment of the path: a literal (decoded), any one segment, or any number of segments. */
export type TemplateSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "one" }
  | { readonly kind: "many" };

/** A variable and the segments that it captures, from `start` up to but not including `end`. */
export interface TemplateVariable {
  readonly fieldPath: readonly string[];
  readonly start: number;
  readonly end: number;
  /** Captures exactly one segment, so that "%2F" in the segment is decoded. */
  readonly single: boolean;
}

export interface PathTemplate {
  readonly text: string;
  readonly segments: readonly TemplateSegment[];
  readonly variables: readonly TemplateVariable[];
  /** Without the colon; empty for a template without a verb. */
  readonly verb: string;
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;
const LITERAL = /^(?:[A-Za-z0-9\-._~!$&'()+,;@]|%[0-9A-Fa-f]{2})+$/;

/** Throws an Error that describes the fault of the template. */
export function parsePathTemplate(text: string): PathTemplate {
  const fail = (what: string): never => {
    throw new Error(`path template ${JSON.stringify(text)}: ${what}`);
  };
  if (!text.startsWith("/")) fail("must start with /");
  const [path, verb] = splitVerb(text);
  const segments: TemplateSegment[] = [];
  const variables: TemplateVariable[] = [];

  const addSegment = (part: string): void => {
    if (segments.at(-1)?.kind === "many") fail("** must be the last segment");
    if (part === "*") segments.push({ kind: "one" });
    else if (part === "**") segments.push({ kind: "many" });
    else if (LITERAL.test(part)) segments.push({ kind: "literal", text: decodeURIComponent(part) });
    else fail(part === "" ? "has an empty segment" : `${JSON.stringify(part)} is no segment`);
  };
  const addVariable = (inside: string): void => {
    const [name = "", pattern = "*"] = splitOnce(inside, "=");
    const fieldPath = name.split(".");
    if (!fieldPath.every((part) => IDENTIFIER.test(part))) fail(`${JSON.stringify(name)} is no field path`);
    if (variables.some((other) => other.fieldPath.join(".") === name)) fail(`${name} is bound twice`);
    const start = segments.length;
    for (const part of pattern.split("/")) addSegment(part);
    const single = segments.length === start + 1 && segments[start]?.kind !== "many";
    variables.push({ fieldPath, start, end: segments.length, single });
  };

  for (const part of splitSegments(path.slice(1))) {
    if (part.startsWith("{") && part.endsWith("}")) addVariable(part.slice(1, -1));
    else addSegment(part);
  }
  if (verb !== undefined && !LITERAL.test(verb)) fail("has a malformed verb");
  return { text, segments, variables, verb: decodeURIComponent(verb ?? "") };
}

/** The verb follows the last colon outside braces, in the last segment. */
function splitVerb(text: string): readonly [path: string, verb: string | undefined] {
  const colon = text.lastIndexOf(":");
  const boundary = Math.max(text.lastIndexOf("/"), text.lastIndexOf("}"));
  return colon > boundary ? [text.slice(0, colon), text.slice(colon + 1)] : [text, undefined];
}

/** Splits at slashes outside braces. */
function splitSegments(path: string): string[] {
  const parts: string[] = [""];
  let inBraces = false;
  for (const character of path) {
    if (character === "/" && !inBraces) {
      parts.push("");
      continue;
    }
    if (character === "{") inBraces = true;
    if (character === "}") inBraces = false;
    parts.push((parts.pop() ?? "") + character);
  }
  return parts;
}

function splitOnce(text: string, at: string): readonly string[] {
  const index = text.indexOf(at);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}
