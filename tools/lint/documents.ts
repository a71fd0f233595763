// Checks that links, headings and repository paths in documents exist.
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import type { Finding, SourceFile } from "./source-files.ts";

const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g;
const NAMED_PATH = /`((?:packages|services|apps|proto|tools|tests|docs|deploy|config)\/[\w./-]+)`/g;

export function checkDocument(root: string, { path, text }: SourceFile): Finding[] {
  const findings: Finding[] = [];
  let isInFence = false;
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trimStart().startsWith("```")) isInFence = !isInFence;
    if (isInFence) continue;
    const report = (message: string): number => findings.push({ path, line: index + 1, message });
    for (const [, target = ""] of line.matchAll(LINK)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = "", heading] = target.split("#");
      if (file !== "" && !existsSync(join(root, normalize(join(dirname(path), file))))) {
        report(`links to ${file}, which does not exist`);
      }
      if (file === "" && heading !== undefined && !headingsOf(text).has(heading)) {
        report(`links to #${heading}, which is no heading of this page`);
      }
    }
    for (const [, named = ""] of line.matchAll(NAMED_PATH)) {
      // Relative to the root, or to the folder that the page is about.
      const isThere = existsSync(join(root, named)) || existsSync(join(root, dirname(path), named));
      if (!isThere) report(`names ${named}, which does not exist`);
    }
  }
  return findings;
}

function headingsOf(text: string): Set<string> {
  const headings = text.matchAll(/^#+ (.+)$/gm);
  return new Set([...headings].map(([, title = ""]) => anchorOf(title)));
}

function anchorOf(title: string): string {
  const plain = title.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "");
  return plain.trim().replaceAll(" ", "-");
}
