import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { problemsOf, REQUIREMENTS } from "./security-page.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const page = readFileSync(resolve(ROOT, "docs/security.md"), "utf8");

test("every requirement of ASVS has a test that exists, or a reason", () => {
  expect(problemsOf(page, ROOT)).toEqual([]);
});

describe("a page with a gap is found", () => {
  const FILE = "tests/coverage/security-page.test.ts";
  const full = (proof: string) => REQUIREMENTS.map((id) => `| ${id} | summary | ${proof} |\n`).join("");
  const proven = full(`\`${FILE}\` "a page with a gap is found"`);

  test.each([
    ["a requirement without a row", proven.replace(/^\| 6\.2\.8 .*\n/m, ""), "6.2.8 has no row"],
    [
      "a row of level 3",
      `${proven}| 6.7.1 | s | Not applicable: there are no such keys here. |\n`,
      "6.7.1 is no",
    ],
    [
      "two rows",
      `${proven}| 9.2.4 | s | Not applicable: there are no such keys here. |\n`,
      "9.2.4 has two rows",
    ],
    ["a file that is gone", full('`tests/gone.test.ts` "x"'), "which does not exist"],
    ["a test that is gone", full(`\`${FILE}\` "a page with" "nothing"`), "which is no test"],
    ["a word as reason", full("Not met: later."), "gives no reason"],
    ["nothing", full("-"), "gives no reason"],
  ])("%s", (_, text, problem) => {
    expect(problemsOf(text, ROOT).join("\n")).toContain(problem);
  });

  test("but not in a page without one", () => {
    expect(problemsOf(proven, ROOT)).toEqual([]);
    expect(problemsOf(full("Not met: the pages have no such control yet."), ROOT)).toEqual([]);
  });
});
