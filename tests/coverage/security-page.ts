// Reads the table of ASVS requirements in docs/security.md and finds rows without proof.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The requirements of OWASP ASVS 5.0.0 of levels 1 and 2 in a section: how many, and which are of level 3. */
const SECTIONS: readonly (readonly [section: string, requirements: number, level3: readonly number[]])[] = [
  ["6.1", 3, []],
  ["6.2", 12, [12]],
  ["6.3", 8, [5, 6, 7, 8]],
  ["6.4", 6, [5, 6]],
  ["6.5", 8, [6, 7, 8]],
  ["6.6", 4, [4]],
  ["6.8", 4, []],
  ["7.1", 3, []],
  ["7.2", 4, []],
  ["7.3", 2, []],
  ["7.4", 5, []],
  ["7.5", 3, [3]],
  ["7.6", 2, []],
  ["9.1", 3, []],
  ["9.2", 4, []],
];

export const REQUIREMENTS: readonly string[] = SECTIONS.flatMap(([section, requirements, level3]) =>
  Array.from({ length: requirements }, (_, index) => index + 1)
    .filter((number) => !level3.includes(number))
    .map((number) => `${section}.${number}`),
);

/** A row: the requirement, its summary, and the proof, which is tests or a reason. */
const ROW = /^\| (\d+\.\d+\.\d+) \| ([^|]+) \| ([^|]+) \|$/gm;
/** `tests/e2e/accounts.e2e.test.ts` "the name of a test" */
const TEST = /`([\w./-]+\.test\.ts)` "([^"]+)"/g;
/** A reason of a few words explains nothing. */
const REASON = /^(?:Not met|Not applicable|Documented): .{20,}/;

/** What is wrong with the page; empty where every requirement has a proof that exists. */
export function problemsOf(page: string, root: string): string[] {
  const rows = [...page.matchAll(ROW)].map(([, id = "", , proof = ""]) => ({ id, proof: proof.trim() }));
  const ids = rows.map(({ id }) => id);
  return [
    ...REQUIREMENTS.filter((id) => !ids.includes(id)).map((id) => `${id} has no row`),
    ...ids.filter((id) => !REQUIREMENTS.includes(id)).map((id) => `${id} is no requirement of level 1 or 2`),
    ...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `${id} has two rows`),
    ...rows.flatMap(({ id, proof }) => proofProblems(proof, root).map((problem) => `${id} ${problem}`)),
  ];
}

function proofProblems(proof: string, root: string): string[] {
  const tests = [...proof.matchAll(TEST)];
  if (tests.length === 0) return REASON.test(proof) ? [] : ["names no test and gives no reason"];
  return tests.flatMap(([, file = "", name = ""]) => {
    if (!existsSync(join(root, file))) return [`names ${file}, which does not exist`];
    const source = readFileSync(join(root, file), "utf8");
    return hasTest(source, name) ? [] : [`names "${name}", which is no test of ${file}`];
  });
}

/** Whether the name is the first argument of a call: of `test`, of `describe`, or of a table of tests. */
function hasTest(source: string, name: string): boolean {
  const literal = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`[([]\\s*["'\`]${literal}["'\`]\\s*,`).test(source);
}
