// Writes docs/errors.md from the comments of reason.proto and the reason table:
// `node packages/errors/src/generate-docs.ts`. Generated descriptors carry no comments, so the proto
// text is read itself.
import { readFileSync, writeFileSync } from "node:fs";
import { assert } from "@muster/core";
import { Code } from "./codes.ts";
import { type ReasonRow, reasonTable } from "./reason-table.ts";

export const ERRORS_DOC = new URL("../../../docs/errors.md", import.meta.url);
const REASON_PROTO = new URL("../../../proto/muster/errors/v1/reason.proto", import.meta.url);

/** Each reason's comment, in the order of the file. */
export function reasonComments(proto: string): Map<string, string> {
  const comments = new Map<string, string>();
  let comment: string[] = [];
  for (const line of proto.split("\n").map((text) => text.trim())) {
    const value = /^REASON_([A-Z_]+) = \d+;$/.exec(line);
    if (line.startsWith("//")) {
      comment.push(line.slice(2).trim());
      continue;
    }
    if (value?.[1] !== undefined && value[1] !== "UNSPECIFIED") comments.set(value[1], comment.join(" "));
    comment = [];
  }
  return comments;
}

const PREAMBLE = `# Errors

<!-- Written by packages/errors/src/generate-docs.ts (make gen). Edit reason.proto instead. -->

This page is for developers of clients. Every error, on every mount, has a \`reason\` of this closed
list. The body of every REST response with 4xx or 5xx is this envelope:

\`\`\`json
{
  "code": "invalid_argument",
  "reason": "FIELD_INVALID",
  "message": "min_count: must be at least 1",
  "fields": [{ "field": "min_count", "message": "must be at least 1" }],
  "details": {},
  "request_id": "0190a5b4-0000-7000-8000-000000000001"
}
\`\`\`

\`code\` is the Connect and gRPC code. gRPC and Connect callers find the same content in the status
details: \`google.rpc.ErrorInfo\` (\`reason\`, domain \`muster\`, \`details\` as metadata),
\`BadRequest\` (\`fields\`), \`RetryInfo\` and \`RequestInfo\`. A detail with several items is an
array in REST, and a text with commas in metadata. Branch on \`reason\`; \`message\` is for
people and may change. If the response has a \`Retry-After\` header (\`RetryInfo\`), wait that long.

\`Accept-Language\` selects the language of \`message\` in REST: English, German, French or Spanish,
and English by default. \`Content-Language\` names the selected language. The English message
describes the particular error; the other languages contain the general sentence of the reason.
\`fields\` and \`details\` are always English. gRPC and Connect always use English.

`;

const HEADINGS = ["Reason", "HTTP", "Code (gRPC)", "When"];

export function errorsDoc(proto: string, table: Readonly<Record<string, ReasonRow>> = reasonTable): string {
  const entries = [...reasonComments(proto)].map(([name, comment]) => {
    const row = table[name];
    assert(row !== undefined, `reason ${name} has no row in the reason table`);
    assert(comment !== "", `reason ${name} has no comment in reason.proto`);
    const cells = [`\`${name}\``, String(row.http), `\`${row.code}\` (${Code[row.code]})`, comment];
    return { http: row.http, cells };
  });
  // Stable: reasons of one status stay in the order of the proto.
  entries.sort((one, other) => one.http - other.http);
  return PREAMBLE + markdownTable([HEADINGS, ...entries.map(({ cells }) => cells)]);
}

/** The first row is the heading. Padded as the formatter requires. */
function markdownTable(rows: readonly (readonly string[])[]): string {
  const escaped = rows.map((cells) => cells.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = HEADINGS.map((_, column) => Math.max(...escaped.map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |\n`;
  const [heading = [], ...body] = escaped;
  return [heading, widths.map((width) => "-".repeat(width)), ...body].map(line).join("");
}

export function currentErrorsDoc(): string {
  return errorsDoc(readFileSync(REASON_PROTO, "utf8"));
}

if (import.meta.main) writeFileSync(ERRORS_DOC, currentErrorsDoc());
