// Reads the prose of a file: the comments of code, or the text of a Markdown page. Code, links and directives are left out.
import { type Comment, tokenizer } from "acorn";
import type { SourceFile } from "../source-files.ts";

/** Consecutive comment lines, or one paragraph, list item, heading or table cell of a page. */
export interface ProseBlock {
  /** Number of the first line, from 1. */
  readonly line: number;
  /** Text of each line, without comment marks and without code. */
  readonly lines: readonly string[];
  /** Whether the block opens its file: the first comment, or the first paragraph of a page. */
  readonly isOpening: boolean;
}

export function isReadable(path: string): boolean {
  return /\.(ts|js|proto|sh|yaml|yml|md)$|(^|\/)(Makefile|Dockerfile)$/.test(path);
}

export function readProse(file: SourceFile): ProseBlock[] {
  if (file.path.endsWith(".md")) return readPage(file.text);
  if (/\.(ts|js)$/.test(file.path)) return readScript(file.text);
  return readLineComments(file.text, file.path.endsWith(".proto") ? "//" : "#");
}

interface ProseLine {
  readonly line: number;
  readonly text: string;
}

/** Joins lines that follow each other directly into blocks. */
function toBlocks(lines: readonly ProseLine[]): ProseBlock[] {
  const blocks: { line: number; lines: string[] }[] = [];
  let next = -1;
  for (const { line, text } of lines) {
    const last = blocks.at(-1);
    if (line === next && last !== undefined) last.lines.push(text);
    else blocks.push({ line, lines: [text] });
    next = text.trim() === "" ? -1 : line + 1;
  }
  const filled = blocks.filter((block) => block.lines.some((line) => line.trim() !== ""));
  return filled.map((block, index) => ({ ...block, isOpening: index === 0 }));
}

const DIRECTIVE = /^\s*(biome-ignore|@ts-|eslint|prettier|#!|!|syntax=|yaml-language-server|buf:lint)/;

function readScript(text: string): ProseBlock[] {
  const lines: ProseLine[] = [];
  for (const comment of commentsOf(text)) {
    const first = comment.loc?.start.line ?? 1;
    for (const [index, raw] of comment.value.split("\n").entries()) {
      const body = comment.type === "Block" ? raw.replace(/^\s*\*+ ?/, "") : raw;
      if (!DIRECTIVE.test(body)) lines.push({ line: first + index, text: withoutCode(body) });
    }
  }
  const [opening, ...rest] = toBlocks(lines);
  if (opening === undefined) return [];
  const isAtTop = text.slice(0, 2) === "//" || text.slice(0, 2) === "/*" || text.startsWith("#!");
  return [{ ...opening, isOpening: isAtTop }, ...rest];
}

/** Types need no parser here: the tokens of TypeScript are those of JavaScript. */
function commentsOf(text: string): Comment[] {
  const comments: Comment[] = [];
  const tokens = tokenizer(text, {
    ecmaVersion: "latest",
    sourceType: "module",
    locations: true,
    allowHashBang: true,
    onComment: comments,
  });
  for (const _ of tokens);
  return comments;
}

function readLineComments(text: string, mark: "//" | "#"): ProseBlock[] {
  const pattern = mark === "#" ? /(?:^|\s)#+(?:\s(.*))?$/ : /(?:^|\s)\/\/(.*)$/;
  const lines: ProseLine[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const body = pattern.exec(line)?.[1];
    if (body === undefined || line.startsWith("#!") || DIRECTIVE.test(body)) continue;
    lines.push({ line: index + 1, text: withoutCode(body) });
  }
  return toBlocks(lines);
}

function readPage(text: string): ProseBlock[] {
  const lines: ProseLine[] = [];
  const headings = new Set<number>();
  let fence: string | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark !== undefined) {
      fence = fence === undefined ? mark : line.trim().startsWith(fence) ? undefined : fence;
      continue;
    }
    if (fence !== undefined || /^\s*\|?[\s:|-]+\|?\s*$/.test(line)) continue;
    if (/^#+ /.test(line)) headings.add(index + 1);
    const body = line.replace(/^\s*(#+|[-*]|\d+\.|>)\s+/, "");
    lines.push({ line: index + 1, text: withoutCode(body) });
  }
  let hasOpened = false;
  return toBlocks(lines).map((block) => {
    const isOpening = !hasOpened && !headings.has(block.line);
    hasOpened ||= isOpening;
    return { ...block, isOpening };
  });
}

/** Blanks of the same length would keep columns, but words are all that counts here. */
function withoutCode(text: string): string {
  return text
    .replaceAll(/`[^`]*`/g, "`code`")
    .replaceAll(/\{@link\s+[^}]*\}/g, "`code`")
    .replaceAll(/\]\([^)]*\)/g, "]")
    .replaceAll(/https?:\/\/\S+/g, "`code`")
    .replaceAll(/<!--.*?-->/g, "");
}
