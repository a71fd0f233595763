// Checks comments and documents for plain language; lists the violations of a part of the tree on request.
import { resolve } from "node:path";
import { ALLOW_LIST, checkAllowList, readAllowList, shrinkAllowList } from "./prose/allow-list.ts";
import { checkProseFile } from "./prose/check-prose-file.ts";
import { isReadable } from "./prose/read-prose.ts";
import { type Finding, isGenerated, readSourceFiles } from "./source-files.ts";

/** Lines of the allow-list. May only shrink: `node tools/lint/prose.ts --shrink` lowers it. */
const ALLOWED_FILES = 0;

function violationsOf(root: string, prefix = ""): Finding[] {
  const isChecked = (path: string): boolean =>
    (isReadable(path) || /(\.json|^\.env\.example)$/.test(path)) &&
    path.startsWith(prefix) &&
    !isGenerated(path);
  return readSourceFiles(root, isChecked).flatMap(checkProseFile);
}

export function checkProse(root: string): Finding[] {
  const violations = violationsOf(root);
  const allowed = readAllowList(root);
  const listed = new Set(allowed);
  const unlisted = violations.filter(({ path }) => !listed.has(path));
  const aboutList = checkAllowList(allowed, new Set(violations.map(({ path }) => path)), ALLOWED_FILES);
  return [...unlisted, ...aboutList];
}

function main([command, prefix]: readonly string[]): void {
  const root = resolve(import.meta.dirname, "../..");
  const violations = violationsOf(root, command === "--list" ? prefix : "");
  if (command === "--shrink") {
    const violating = new Set(violations.map(({ path }) => path));
    const count = shrinkAllowList(root, violating, "tools/lint/prose.ts");
    process.stdout.write(`${ALLOW_LIST}: ${count} files\n`);
  } else if (command === "--list") {
    for (const { path, line, message } of violations) process.stdout.write(`${path}:${line}: ${message}\n`);
    const files = new Set(violations.map(({ path }) => path)).size;
    process.stdout.write(`${violations.length} violations in ${files} files\n`);
  } else {
    process.stderr.write(
      "prose: --list [path prefix] prints violations, listed files too; --shrink removes clean files from the list\n",
    );
    process.exitCode = 1;
  }
}

if (import.meta.main) main(process.argv.slice(2));
