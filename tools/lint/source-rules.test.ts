// Plants one violation of every rule about single files and expects it to be found.
import { describe, expect, test } from "vitest";
import { checkSourceFile, FILE_LINES_MAX, FILE_LINES_WARN, FUNCTION_LINES_MAX } from "./source-rules.ts";

const SERVICE = "services/events/src/planted.ts";

function messages(path: string, text: string): string[] {
  return checkSourceFile({ path, text }).map((finding) => `${finding.line}: ${finding.message}`);
}

describe("banned calls", () => {
  const planted: [code: string, what: string][] = [
    ["const now: number = Date.now();", "Date.now"],
    ["const now = globalThis.Date.now();", "Date.now"],
    ['const now = Date["now"]();', "Date.now"],
    ["const { now } = Date;", "Date.now"],
    ["const now = new Date();", "new Date() for now"],
    ["const now = Date();", "Date() for now"],
    ["const mode = process.env.MODE as string;", "process.env"],
    ["const { env } = process;", "process.env"],
    ['import { env } from "node:process";', "process.env"],
    ["const id = Math.random();", "Math.random"],
    ['console.log("hello");', "console"],
    ['globalThis.console.log("hello");', "console"],
  ];

  test.each(planted)("%s", (code, what) => {
    expect(messages(SERVICE, `// A planted file.\n${code}\n`)).toEqual([
      expect.stringMatching(new RegExp(`^2: ${what.replaceAll(/[.()]/g, "\\$&")} is banned here`)),
    ]);
  });

  test("what only looks like one passes", () => {
    const text = `
      // Date.now in a comment
      const text = "process.env";
      const known = new Date(0);
      const nowMs = clock.nowMs();
      const own = { now: 1, env: 2, random: 3 };
      report(own.now, own.env, own.random);
    `;
    expect(messages(SERVICE, text)).toEqual([]);
  });

  test("each is allowed in its home, and in tests and tools", () => {
    expect(messages("packages/core/src/clock.ts", "const now = Date.now();")).toEqual([]);
    expect(messages("packages/config/src/load.ts", "const mode = process.env;")).toEqual([]);
    expect(messages("services/events/src/planted.test.ts", "const now = Date.now();")).toEqual([]);
    expect(messages("tools/up.ts", "const mode = process.env;")).toEqual([]);
    expect(messages("packages/config/src/load.ts", "const now = Date.now();")).toHaveLength(1);
  });
});

test("a line for each retry is refused, unless a condition or a FailureLog writes it", () => {
  const line = 'log.warn({ err: error }, "cannot be read; retrying");';
  expect(messages(SERVICE, `try { read(); } catch (error) {\n  ${line}\n}`)).toEqual([
    expect.stringContaining("2: a line for each retry floods the log"),
  ]);
  expect(messages(SERVICE, `if (failing) for (;;) run(() => { ${line} });`)).toHaveLength(1);
  expect(messages(SERVICE, `if (failures === 0) ${line}`)).toEqual([]);
  expect(messages(SERVICE, 'new FailureLog(log, { failed: "cannot be read; retrying" });')).toEqual([]);
  expect(messages("services/events/src/planted.test.ts", line)).toEqual([]);
});

test("properties run through the testkit, so that make test-long reaches them", () => {
  for (const name of ["assert", "check"]) {
    const code = `await fc.${name}(property);`;
    const found = [expect.stringContaining(`fc.${name} is banned here`)];
    expect(messages("services/events/src/planted.test.ts", code)).toEqual(found);
    expect(messages("packages/testkit/src/check-property.ts", code)).toEqual([]);
  }
});

describe("adapters", () => {
  const code = 'import { JetStreamBus } from "@muster/bus";';

  test("one chosen by a service is found", () => {
    expect(messages(SERVICE, code)).toEqual([expect.stringContaining("JetStreamBus is an adapter")]);
    const reexport = 'export { openMysql } from "@muster/db";';
    expect(messages(SERVICE, reexport)).toEqual([expect.stringContaining("openMysql is an adapter")]);
  });

  test("the platform files may", () => {
    expect(messages("apps/muster/src/platform/platform-production.ts", code)).toEqual([]);
  });
});

describe("lengths", () => {
  test("a long file warns, a longer one fails", () => {
    const lines = (count: number): string => "void 0;\n".repeat(count);
    expect(checkSourceFile({ path: SERVICE, text: lines(FILE_LINES_WARN) })).toEqual([]);
    expect(checkSourceFile({ path: SERVICE, text: lines(FILE_LINES_WARN + 1) })).toMatchObject([
      { warning: true },
    ]);
    expect(checkSourceFile({ path: SERVICE, text: lines(FILE_LINES_MAX + 1) })).toMatchObject([
      { warning: false },
    ]);
  });

  test("a long function fails", () => {
    const body = (lines: number): string => `function long() {\n${"void 0;\n".repeat(lines - 2)}}\n`;
    expect(messages(SERVICE, body(FUNCTION_LINES_MAX))).toEqual([]);
    expect(messages(SERVICE, body(FUNCTION_LINES_MAX + 1))).toEqual([
      expect.stringContaining("a function of 71 lines"),
    ]);
  });
});

test("a spread of an object literal fails, in tests too; other spreads pass", () => {
  const planted = "const all = { ...{ a, b }, ...others, ...(isSet && { c }) };";
  for (const path of [SERVICE, "services/events/tests/planted.test.ts"]) {
    expect(messages(path, planted)).toEqual(["1: a spread of an object literal: write its fields out"]);
  }
});

describe("notes", () => {
  test("work to do names its issue; broken code is no note", () => {
    expect(messages(SERVICE, `// ${"TO"}DO: later`)).toHaveLength(1);
    expect(messages(SERVICE, `// ${"TO"}DO(#12): later`)).toEqual([]);
    expect(messages("Makefile", `# ${"FIX"}ME`)).toHaveLength(1);
  });
});
