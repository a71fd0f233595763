// Tests the counts of a process and their reports: once each, in bounded memory, and at the end of the process.
import { PassThrough } from "node:stream";
import { createLogger } from "@muster/log";
import { FakeClock } from "@muster/testkit";
import { beforeEach, expect, test } from "vitest";
import { type ApiKeyUsageReport, REPORT_ENTRIES_MAX } from "./api-key-usage.ts";
import { ApiKeyUsageReporter } from "./api-key-usage-reporter.ts";

const MINUTE_MS = 60_000;
const REPORTER = "0190a5b4-0000-7000-8000-000000000001";
const MIDNIGHT = Date.UTC(2026, 2, 1);
const DAY = MIDNIGHT / 86_400_000;

let clock: FakeClock;
let reports: ApiKeyUsageReport[];
let fails: boolean;
let warnings: string;

beforeEach(() => {
  clock = new FakeClock(MIDNIGHT - 2 * MINUTE_MS);
  reports = [];
  fails = false;
  warnings = "";
});

function reporterOf(entriesMax?: number): ApiKeyUsageReporter {
  const destination = new PassThrough().on("data", (chunk) => {
    warnings += String(chunk);
  });
  const log = createLogger({ level: "warn", destination });
  const add = async (report: ApiKeyUsageReport): Promise<void> => {
    reports.push(report);
    if (fails) throw new Error("identity does not respond");
  };
  return new ApiKeyUsageReporter({
    reporterId: REPORTER,
    add,
    clock,
    log,
    ...(entriesMax && { entriesMax }),
  });
}

test("reports the calls of a minute by key and UTC date, and nothing without calls", async () => {
  const reporter = reporterOf();
  await reporter.start();
  reporter.count("a");
  reporter.count("b");
  reporter.count("a");
  await clock.advance(MINUTE_MS);
  await clock.advance(MINUTE_MS - 1);
  reporter.count("a");
  await clock.advance(1);
  // At midnight.
  reporter.count("a");
  await clock.advance(MINUTE_MS);
  await clock.advance(5 * MINUTE_MS);
  await reporter.stop();
  expect(reports).toEqual([
    {
      reporterId: REPORTER,
      sequence: 1,
      calls: [
        { apiKeyId: "a", day: DAY - 1, calls: 2 },
        { apiKeyId: "b", day: DAY - 1, calls: 1 },
      ],
    },
    { reporterId: REPORTER, sequence: 2, calls: [{ apiKeyId: "a", day: DAY - 1, calls: 1 }] },
    { reporterId: REPORTER, sequence: 3, calls: [{ apiKeyId: "a", day: DAY, calls: 1 }] },
  ]);
});

test("repeats a failed report as it was, and reports later calls under the next number", async () => {
  const reporter = reporterOf();
  fails = true;
  reporter.count("a");
  await expect(reporter.report()).rejects.toThrow("does not respond");
  reporter.count("a");
  await expect(reporter.report()).rejects.toThrow("does not respond");
  fails = false;
  reporter.count("a");
  await reporter.report();
  const day = DAY - 1;
  const first = { reporterId: REPORTER, sequence: 1, calls: [{ apiKeyId: "a", day, calls: 1 }] };
  const second = { ...first, sequence: 2, calls: [{ apiKeyId: "a", day, calls: 2 }] };
  expect(reports).toEqual([first, first, first, second]);
});

test("the end of the process reports the last calls, also when it cannot", async () => {
  const reporter = reporterOf();
  await reporter.start();
  reporter.count("a");
  fails = true;
  await reporter.stop();
  expect(reports).toHaveLength(1);
  expect(warnings).toContain("was not reported");
});

test("many keys take several reports", async () => {
  const reporter = reporterOf();
  for (let key = 0; key < REPORT_ENTRIES_MAX + 1; key += 1) reporter.count(`${key}`);
  await reporter.report();
  expect(reports.map(({ sequence, calls }) => [sequence, calls.length])).toEqual([
    [1, REPORT_ENTRIES_MAX],
    [2, 1],
  ]);
});

test("where the memory is full, calls of more keys are left out and logged", async () => {
  const reporter = reporterOf(2);
  for (const key of ["a", "b", "c", "a", "c"]) reporter.count(key);
  await reporter.report();
  expect(reports[0]?.calls.map(({ apiKeyId, calls }) => [apiKeyId, calls])).toEqual([
    ["a", 2],
    ["b", 1],
  ]);
  expect(warnings).toContain('"calls":2');
  reporter.count("c");
  await reporter.report();
  expect(reports[1]?.calls.map(({ apiKeyId }) => apiKeyId)).toEqual(["c"]);
});
