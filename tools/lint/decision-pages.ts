// Checks that a decision page has its number, title, status and date, and the four sections.
import { basename } from "node:path";
import type { Finding, SourceFile } from "./source-files.ts";

const SECTIONS = ["Context", "Decision", "Consequences", "Rejected alternatives"];
const STATUS = /^Status: (accepted|superseded by \[decision \d+\]\([\w-]+\.md\)) · Date: \d{4}-\d{2}-\d{2}$/;

/** Findings for one page of docs/decisions; other pages pass. */
export function checkDecisionPage({ path, text }: SourceFile): Finding[] {
  if (!path.startsWith("docs/decisions/")) return [];
  const number = /^(\d{4})-[a-z0-9-]+\.md$/.exec(basename(path))?.[1];
  if (number === undefined) {
    return [{ path, line: 1, message: "must be named after its number, as in 0021-title.md" }];
  }
  const lines = text.split("\n");
  const findings: Finding[] = [];
  if (lines[0]?.startsWith(`# ${Number(number)}. `) !== true) {
    findings.push({ path, line: 1, message: `must open with "# ${Number(number)}. <title>"` });
  }
  if (!STATUS.test(lines[2] ?? "")) {
    findings.push({ path, line: 3, message: 'must read "Status: accepted · Date: YYYY-MM-DD"' });
  }
  for (const section of SECTIONS) {
    if (!lines.includes(`## ${section}`))
      findings.push({ path, line: 1, message: `has no section "## ${section}"` });
  }
  return findings;
}
