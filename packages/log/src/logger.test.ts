// Tests which parts of errors, messages and bytes a log line contains.
import { Writable } from "node:stream";
import { AssertionError } from "@muster/core";
import { expect, test } from "vitest";
import { createLogger, type LogFields } from "./logger.ts";

/** The line written for these fields. */
function lineOf(fields: LogFields, child?: LogFields): Record<string, unknown> {
  let text = "";
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  const log = createLogger({ level: "info", destination });
  (child === undefined ? log : log.child(child)).warn(fields, "something happened");
  const { level, time, ...line } = JSON.parse(text);
  expect(level).toBe(40);
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  return line;
}

test("plain fields as they are, those of a child before them", () => {
  expect(lineOf({ shard: 3, of: ["a", 2n], none: null }, { service: "events" })).toEqual({
    service: "events",
    shard: 3,
    of: ["a", "2"],
    none: null,
    msg: "something happened",
  });
});

test("of a driver's error type, codes and place, not the values that it quotes", () => {
  const error = Object.assign(new Error("Duplicate entry 'ada@example.com' for key 'email'"), {
    code: "ER_DUP_ENTRY",
    errno: 1062,
    sqlState: "23000",
    sql: "insert into profiles values ('ada@example.com')",
  });
  const line = lineOf({ err: error });
  expect(line).toMatchObject({
    err: { type: "Error", code: "ER_DUP_ENTRY", errno: 1062, sqlState: "23000" },
  });
  expect(JSON.stringify(line)).not.toContain("ada");
  expect((line.err as { stack: string[] }).stack[0]).toContain("logger.test.ts");
});

test("of what a parser could not read only where that was", () => {
  let error: unknown;
  try {
    JSON.parse('{"email":ada@example.com}');
  } catch (caught) {
    error = caught;
  }
  expect(String(error)).toContain("ada");
  const line = lineOf({ err: error });
  expect(line).toMatchObject({ err: { type: "SyntaxError" } });
  expect(JSON.stringify(line)).not.toContain("ada");
});

test("a message that its class vouches for, and the chain of causes", () => {
  const cause = new TypeError("ada", { cause: new AssertionError("the deepest") });
  const line = lineOf({ err: new AssertionError("one envelope is missing", { cause }) });
  expect(line).toMatchObject({
    err: {
      type: "AssertionError",
      message: "one envelope is missing",
      cause: { type: "TypeError", cause: { message: "the deepest" } },
    },
  });
  expect(JSON.stringify(line)).not.toContain('"ada"');
});

test("an error of many lines brings no line of its own", () => {
  const line = lineOf({ err: new Error("first\nada\n    at ada") });
  expect(JSON.stringify(line)).not.toMatch(/"[^"]*\bada"/);
});

test("messages and bytes are named only, at any depth and in a child", () => {
  const profile = { $typeName: "muster.events.v1.Profile", email: "ada@example.com" };
  const fields = { profile, more: [{ data: Buffer.from("ada") }], err: { envelope: profile } };
  const line = lineOf(fields, { of: profile });
  expect(line).toMatchObject({
    of: { message: "muster.events.v1.Profile" },
    profile: { message: "muster.events.v1.Profile" },
    more: [{ data: "3 bytes" }],
  });
  expect(JSON.stringify(line)).not.toContain("ada");
});

test("what is endless ends", () => {
  const ring: Record<string, unknown> = { text: "x".repeat(100_000) };
  ring.self = ring;
  expect(JSON.stringify(lineOf({ ring })).length).toBeLessThan(20_000);
});
