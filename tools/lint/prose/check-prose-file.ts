// Checks one file against the rules of plain language: banned words, openings, pronouns, width and spelling.
import type { Finding, SourceFile } from "../source-files.ts";
import { BANNED_OPENING, bannedPhrases, OPENING_ADVICE, pronouns } from "./banned-words.ts";
import { isReadable, type ProseBlock, readProse } from "./read-prose.ts";
import { britishSpellings, isSpellingExempt } from "./us-spelling.ts";

const PAGE_COLUMNS_MAX = 100;
const PRONOUN_PERCENT_MAX = 6;
/** A share of fewer words than this is chance. */
const PRONOUN_WORDS_MIN = 40;

export function checkProseFile(file: SourceFile): Finding[] {
  const findings = isSpellingExempt(file.path) ? [] : checkSpelling(file);
  if (!isReadable(file.path)) return findings;
  const blocks = readProse(file);
  if (file.path.endsWith(".md")) findings.push(...checkWidth(file));
  findings.push(...checkOpening(file, blocks), ...checkPronouns(file, blocks));
  for (const block of blocks) findings.push(...checkPhrases(file, block));
  return findings.toSorted((left, right) => left.line - right.line);
}

function checkSpelling({ path, text }: SourceFile): Finding[] {
  const findings = britishSpellings(path).map((message) => ({ path, line: 1, message: `path: ${message}` }));
  for (const [index, line] of text.split("\n").entries()) {
    for (const message of britishSpellings(line)) findings.push({ path, line: index + 1, message });
  }
  return findings;
}

/**
 * Exempt are lines that Markdown or a reader cannot break: rows of tables, lines without a space to break at, and
 * the output of commands, which is what a `console` fence holds beside its `$` lines.
 */
function checkWidth({ path, text }: SourceFile): Finding[] {
  const findings: Finding[] = [];
  let fence: string | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const mark = /^\s*```(\w*)/.exec(line)?.[1];
    if (mark !== undefined) fence = fence === undefined ? mark : undefined;
    const isRow = fence === undefined && /^\s*\|/.test(line);
    const isOutput = fence === "console" && !line.startsWith("$");
    const isUnbreakable = !/\S\s+\S/.test(line.replace(/^\s*(?:[-*>]|\d+\.)\s+/, ""));
    if (line.length <= PAGE_COLUMNS_MAX || isRow || isOutput || isUnbreakable) continue;
    findings.push({ path, line: index + 1, message: `${line.length} columns; at most ${PAGE_COLUMNS_MAX}` });
  }
  return findings;
}

function checkOpening({ path }: SourceFile, blocks: readonly ProseBlock[]): Finding[] {
  const opening = blocks.find(({ isOpening }) => isOpening);
  const text =
    opening?.lines
      .map((line) => line.trim())
      .join(" ")
      .trim() ?? "";
  if (opening === undefined || !BANNED_OPENING.test(text)) return [];
  return [
    { path, line: opening.line, message: `"${text.split(" ").slice(0, 3).join(" ")} …" ${OPENING_ADVICE}` },
  ];
}

function checkPronouns({ path }: SourceFile, blocks: readonly ProseBlock[]): Finding[] {
  const words = blocks.flatMap(({ lines }) => lines.flatMap(wordsOf));
  const counts = new Map<string, number>();
  for (const word of words) if (pronouns.has(word)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const count = [...counts.values()].reduce((sum, each) => sum + each, 0);
  if (words.length < PRONOUN_WORDS_MIN || count * 100 <= words.length * PRONOUN_PERCENT_MAX) return [];
  const share = ((count * 100) / words.length).toFixed(1);
  const most = [...counts].sort((left, right) => right[1] - left[1]).slice(0, 5);
  const list = most.map(([word, times]) => `${word} ${times}`).join(", ");
  const message = `${share} % of ${words.length} words are pronouns or indefinites (${list}); at most ${PRONOUN_PERCENT_MAX} %`;
  return [{ path, line: 1, message }];
}

/** "such as" introduces examples and counts as no pronoun. */
function wordsOf(line: string): string[] {
  return (
    line
      .toLowerCase()
      .replaceAll("such as", "like")
      .match(/[a-z][a-z'’]*/g) ?? []
  );
}

function checkPhrases({ path }: SourceFile, { line, lines }: ProseBlock): Finding[] {
  const text = lines.join("\n");
  return bannedPhrases.flatMap(({ pattern, instead }) =>
    [...text.matchAll(pattern)].map((match) => ({
      path,
      line: line + text.slice(0, match.index).split("\n").length - 1,
      message: `"${match[0].replaceAll(/\s+/g, " ")}"; write: ${instead}`,
    })),
  );
}
