import { readFileSync } from "node:fs";
import { Code as RpcCode } from "@muster/contracts/google/rpc/code_pb";
import { Reason } from "@muster/contracts/muster/errors/v1/reason_pb";
import { describe, expect, test } from "vitest";
import { AppError, invalidField } from "./app-error.ts";
import { Code } from "./codes.ts";
import { currentErrorsDoc, ERRORS_DOC, errorsDoc, reasonComments } from "./generate-docs.ts";
import { LANGUAGES, reasonMessage } from "./messages/languages.ts";
import { type ReasonName, type ReasonRow, reasonTable } from "./reason-table.ts";

/** Names of the generated enum, without its reverse mapping. */
const REASONS = Object.keys(Reason).filter((name) => Number.isNaN(Number(name)) && name !== "UNSPECIFIED");

const SENTENCE = /^\p{Lu}.+\.$/u;

describe("reason table", () => {
  test("has a row for every reason and no other", () => {
    expect(Object.keys(reasonTable).sort()).toEqual(REASONS.sort());
  });

  test("codes are those of google.rpc.Code", () => {
    // google.rpc spells one of them with two l.
    const spelledAsRpc = new Map(
      Object.entries(RpcCode).map(([name, value]) => [name.replace("LL", "L"), value]),
    );
    for (const [name, number] of Object.entries(Code)) {
      expect(spelledAsRpc.get(name.toUpperCase()), name).toBe(number);
    }
  });

  test("every row has a status and a message", () => {
    for (const [name, row] of Object.entries<ReasonRow>(reasonTable)) {
      expect(row.http, name).toBeGreaterThanOrEqual(400);
      expect(row.http, name).toBeLessThan(600);
      // One text is the contract's own, without a full stop.
      expect(row.message, name).toMatch(
        name === "USER_EVENT_EXISTS" ? /^User event already exists$/ : SENTENCE,
      );
    }
  });
});

describe("languages", () => {
  test.each(LANGUAGES)("%s has a distinct message for every reason", (language) => {
    const reasons = Object.keys(reasonTable) as ReasonName[];
    const messages = reasons.map((reason) => reasonMessage(reason, language));
    const others = reasons.filter((reason) => language !== "en" || reason !== "USER_EVENT_EXISTS");
    for (const reason of others) expect(reasonMessage(reason, language)).toMatch(SENTENCE);
    expect(new Set(messages).size).toBe(reasons.length);
    const copied = reasons.filter(
      (reason) => reasonMessage(reason, language) === reasonTable[reason].message,
    );
    expect(copied).toEqual(language === "en" ? reasons : []);
  });
});

describe("docs/errors.md", () => {
  test("is current: otherwise run `node packages/errors/src/generate-docs.ts`", () => {
    expect(readFileSync(ERRORS_DOC, "utf8")).toBe(currentErrorsDoc());
  });

  test("lists every reason once, with its status and comment", () => {
    const rows = currentErrorsDoc().match(/^\| `([A-Z_]+)`/gm) ?? [];
    expect(rows.map((row) => row.slice(3, -1)).sort()).toEqual(REASONS.sort());
    expect(currentErrorsDoc()).toMatch(
      /\| `UNAUTHENTICATED` +\| 401 +\| `unauthenticated` \(16\) +\| Credentials are missing/,
    );
  });

  test("a comment over two lines is one sentence, and belongs to the value that follows", () => {
    const comments = reasonComments(
      "// Of the file.\nenum Reason {\n// One\n// thing.\nREASON_A = 1;\nREASON_B = 2;\n}",
    );
    expect([...comments]).toEqual([
      ["A", "One thing."],
      ["B", ""],
    ]);
  });

  test("a reason without a comment or a row stops the generation", () => {
    const row = reasonTable.INTERNAL;
    expect(() => errorsDoc("REASON_A = 1;", { A: row })).toThrow("no comment");
    expect(() => errorsDoc("// Why.\nREASON_B = 1;", { A: row })).toThrow("no row");
  });
});

describe("AppError", () => {
  test("takes message and code from its reason, and keeps its cause to itself", () => {
    const cause = new Error("Duplicate entry 'x' for key 'y'");
    const error = new AppError("SEGMENT_NAME_TAKEN", { cause });
    expect(error).toMatchObject({ codeName: "already_exists", code: 6, row: { http: 409 }, fields: [] });
    expect(error.message).toBe(reasonTable.SEGMENT_NAME_TAKEN.message);
    expect(error.cause).toBe(cause);
  });

  test("invalidField names the field", () => {
    expect(invalidField("scopes[1]", "unknown scope")).toMatchObject({
      reason: "FIELD_INVALID",
      message: "scopes[1]: unknown scope",
      fields: [{ field: "scopes[1]", message: "unknown scope" }],
    });
  });
});
