// Tests that a lasting failure is logged at its beginning and its end only.
import { expect, test } from "vitest";
import { FailureLog, type FailureMessages } from "./failure-log.ts";
import type { LogFields, Logger } from "./logger.ts";

const broken = new Error("broken");

function failureLog(messages: FailureMessages) {
  const lines: [level: string, fields: LogFields, message: string][] = [];
  const at = (level: string) => (fields: LogFields, message: string) => lines.push([level, fields, message]);
  const log: Logger = {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    child: () => log,
  };
  return { failures: new FailureLog(log, messages), lines };
}

test("each failure episode has a first and a last line", () => {
  const { failures, lines } = failureLog({ failed: "failing", recovered: "works again" });
  failures.succeeded();
  failures.failed(broken, { shard: 3 });
  failures.failed(new Error("other"));
  failures.succeeded({ shard: 3 });
  failures.succeeded();
  failures.failed(broken);
  expect(lines).toEqual([
    ["warn", { err: broken, shard: 3 }, "failing"],
    ["info", { shard: 3 }, "works again"],
    ["warn", { err: broken }, "failing"],
  ]);
});

test("the first line may be an error, and the last line may be left out", () => {
  const { failures, lines } = failureLog({ failed: "failing", level: "error" });
  failures.failed(broken);
  failures.succeeded();
  failures.failed(broken);
  expect(lines).toEqual([
    ["error", { err: broken }, "failing"],
    ["error", { err: broken }, "failing"],
  ]);
});
