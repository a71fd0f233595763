// Tests that a lasting failure is logged in few lines: the beginning, counts, and the end.
import { type Clock, systemClock } from "@muster/core";
import { describe, expect, test } from "vitest";
import { FailureLog, type FailureMessages, OutageLog } from "./failure-log.ts";
import { kindOfError } from "./loggable.ts";
import type { LogFields, Logger } from "./logger.ts";

const broken = new Error("broken");

/** A clock that a test sets by hand. */
class HandClock {
  ms = 0;
  readonly clock: Clock = { ...systemClock, monotonicMs: () => this.ms };
}

function recorder() {
  const lines: [level: string, fields: LogFields, message: string][] = [];
  const at = (level: string) => (fields: LogFields, message: string) => lines.push([level, fields, message]);
  const log: Logger = {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    child: () => log,
  };
  return { log, lines };
}

function failureLog(messages: FailureMessages) {
  const { log, lines } = recorder();
  const hand = new HandClock();
  return { failures: new FailureLog(log, messages, hand.clock), lines, hand };
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
    ["info", { shard: 3, failures: 2 }, "works again"],
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

test("a failure that lasts is counted once a minute", () => {
  const { failures, lines, hand } = failureLog({ failed: "failing", recovered: "works again" });
  for (; hand.ms < 150_000; hand.ms += 100) failures.failed(broken);
  failures.succeeded();
  expect(lines).toEqual([
    ["warn", { err: broken }, "failing"],
    ["warn", { err: broken, failures: 600 }, "failing"],
    ["warn", { err: broken, failures: 600 }, "failing"],
    ["info", { failures: 1500 }, "works again"],
  ]);
});

describe("failures of many calls", () => {
  const messages = { failed: "failing", ended: "works again", level: "warn" } as const;

  test("have a line for each kind at the beginning, a count a minute, and a line at the end", () => {
    const { log, lines } = recorder();
    const hand = new HandClock();
    const outages = new OutageLog(log, messages, hand.clock);
    for (; hand.ms < 70_000; hand.ms += 10) {
      outages.failed("a", broken, { request_id: String(hand.ms) });
      outages.failed("b", broken);
      // Other calls succeed meanwhile.
      outages.checkEnds();
    }
    hand.ms += 30_000;
    outages.checkEnds();
    outages.checkEnds();
    expect(lines).toEqual([
      ["warn", { request_id: "0", err: broken }, "failing"],
      ["warn", { err: broken }, "failing"],
      ["warn", { request_id: "60000", kind: "a", failures: 6000 }, "failing"],
      ["warn", { kind: "b", failures: 6000 }, "failing"],
      ["info", { kind: "a", failures: 7000, seconds: 70 }, "works again"],
      ["info", { kind: "b", failures: 7000, seconds: 70 }, "works again"],
    ]);
  });

  test("have few lines even when every failure is of another kind", () => {
    const { log, lines } = recorder();
    const outages = new OutageLog(log, messages, new HandClock().clock);
    for (let call = 0; call < 1_000; call += 1) outages.failed(`kind ${call}`, broken);
    expect(lines).toHaveLength(501);
  });
});

test("errors of the same place and codes are of the same kind, whatever their messages hold", () => {
  const errorOf = (message: string, code: string) =>
    new Error("outer", { cause: Object.assign(new Error(message), { code }) });
  const kinds = ["ada", "eve"].map((name) => kindOfError(errorOf(name, "ECONNREFUSED")));
  expect(kinds[0]).toBe(kinds[1]);
  expect(kinds[0]).toMatch(/^Error: Error ECONNREFUSED: at .*failure-log\.test\.ts/);
  expect(kinds[0]).not.toContain("ada");
  expect(kindOfError(errorOf("ada", "ETIMEDOUT"))).not.toBe(kinds[0]);
  expect(kindOfError("text")).toBe("");
});
