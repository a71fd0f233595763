// Plants decision pages that lack a part and expects each to be found.
import { expect, test } from "vitest";
import { checkDecisionPage } from "./decision-pages.ts";

const PATH = "docs/decisions/0021-planted.md";
const GOOD = `# 21. A planted page

Status: accepted · Date: 2026-11-30

## Context

## Decision

## Consequences

## Rejected alternatives
`;

const messages = (path: string, text: string): string[] =>
  checkDecisionPage({ path, text }).map(({ message }) => message);

test("a complete page passes, and so does a page about something else", () => {
  expect(messages(PATH, GOOD)).toEqual([]);
  expect(messages(PATH, GOOD.replace("accepted", "superseded by [decision 22](0022-next.md)"))).toEqual([]);
  expect(messages("docs/segments.md", "# Segments\n")).toEqual([]);
});

test.each([
  ["another number", GOOD.replace("# 21.", "# 12."), 'must open with "# 21. <title>"'],
  ["no status", GOOD.replace("Status: accepted · ", ""), 'must read "Status: accepted · Date: YYYY-MM-DD"'],
  ["no date", GOOD.replace(" · Date: 2026-11-30", ""), 'must read "Status: accepted · Date: YYYY-MM-DD"'],
  ["a section short", GOOD.replace("## Consequences\n", ""), 'has no section "## Consequences"'],
])("%s is found", (_, text, message) => {
  expect(messages(PATH, text)).toEqual([message]);
});

test("a page without a number is found", () => {
  expect(messages("docs/decisions/planted.md", GOOD)).toEqual([
    "must be named after its number, as in 0021-title.md",
  ]);
});
