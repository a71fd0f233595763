// Reads end after ten seconds, whatever the service does; writes and long computations have their own time.
import { create, type DescMethod } from "@bufbuild/protobuf";
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { withTimeout } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Caller } from "@muster/rpc";
import { FakeClock } from "@muster/testkit";
import { expect, test } from "vitest";
import { boundedReads } from "./bounded-reads.ts";

/** Ms after which a call to a frozen service ends, and how. */
async function call(method: DescMethod, timeoutMs: number, headers: Record<string, string> = {}) {
  const clock = new FakeClock();
  const frozen: Caller = {
    unary: (_method, _request, { deadlineMs = 0 }) =>
      withTimeout(clock, deadlineMs - clock.nowMs(), new Promise<never>(() => {}), () => {
        throw new AppError("DEADLINE_EXCEEDED", { requestId: "r-1" });
      }),
    stream: () => expect.unreachable(),
  };
  let error: AppError | undefined;
  boundedReads(
    () => frozen,
    clock,
    10_000,
  )(method)
    .unary(method, create(method.input), {
      headers: new Map(Object.entries(headers)),
      signal: new AbortController().signal,
      deadlineMs: clock.nowMs() + timeoutMs,
    })
    .catch((failure: AppError) => {
      error = failure;
    });
  for (let ms = 0; ms <= 60_000; ms += 1_000) {
    await clock.advance(0);
    if (error !== undefined) return { ms, error };
    await clock.advance(1_000);
  }
  return undefined;
}

const { listSegmentMembers, batchCheckMemberships, createSegment, previewSegment } = SegmentService.method;

test.each<[string, DescMethod]>([
  ["GET", listSegmentMembers],
  ["GET with another permission", ErasureService.method.getErasure],
  ["POST that reads", batchCheckMemberships],
])("a read by %s is 503 with Retry-After after ten seconds", async (_, method) => {
  const outcome = await call(method, 30_000);
  expect(outcome?.ms).toBe(10_000);
  expect(outcome?.error).toMatchObject({
    reason: "NOT_YET_CONSISTENT",
    retryAfterMs: 1_000,
    requestId: "r-1",
    row: { http: 503 },
  });
});

test("an eventual read is unavailable", async () => {
  const outcome = await call(listSegmentMembers, 30_000, { "muster-consistency": "eventual" });
  expect(outcome?.error).toMatchObject({ reason: "UNAVAILABLE", retryAfterMs: 1_000 });
});

test("a caller's own deadline, if earlier, stays", async () => {
  const outcome = await call(listSegmentMembers, 5_000);
  expect(outcome).toMatchObject({ ms: 5_000, error: { reason: "DEADLINE_EXCEEDED" } });
});

test.each<[string, DescMethod]>([
  ["write", createSegment],
  ["write of events", EventService.method.recordEvent],
  ["computation with its own deadline", previewSegment],
])("a %s keeps the deadline of its caller", async (_, method) => {
  const outcome = await call(method, 30_000);
  expect(outcome).toMatchObject({ ms: 30_000, error: { reason: "DEADLINE_EXCEEDED" } });
});

/** Streams through `boundedReads`: the first message after `firstMs`, the second after two minutes more. */
async function stream(firstMs: number, headers: Record<string, string> = {}) {
  const clock = new FakeClock();
  const { getProfileExport } = ExportService.method;
  let aborted: unknown;
  const slow: Caller = {
    unary: () => expect.unreachable(),
    stream: (_method, _requests, { signal }) => {
      signal.addEventListener("abort", () => {
        aborted = signal.reason;
      });
      const messages = async function* () {
        await clock.sleep(firstMs, signal);
        if (signal.aborted) throw signal.reason;
        yield create(getProfileExport.output);
        await clock.sleep(120_000, signal);
        yield create(getProfileExport.output);
      };
      return { messages: messages(), headers: new Map() };
    },
  };
  const leaving = new AbortController();
  const caller = boundedReads(() => slow, clock, 10_000)(getProfileExport);
  const options = { headers: new Map(Object.entries(headers)), signal: leaving.signal };
  let read = 0;
  let outcome: unknown;
  const reading = async () => {
    for await (const _ of caller.stream(getProfileExport, none(), options).messages) read += 1;
    outcome = "end";
  };
  void reading().catch((error: unknown) => {
    outcome = error;
  });
  for (let second = 0; second < 140 && outcome === undefined; second += 1) {
    await clock.advance(0);
    if (outcome === undefined) await clock.advance(1_000);
  }
  return { read, outcome, aborted };
}

async function* none() {}

test("a streamed body must begin within ten seconds, and then takes as long as it takes", async () => {
  const late = { reason: "NOT_YET_CONSISTENT", retryAfterMs: 1_000 };
  expect(await stream(30_000)).toMatchObject({ read: 0, outcome: late, aborted: late });
  const eventual = await stream(30_000, { "muster-consistency": "eventual" });
  expect(eventual.outcome).toMatchObject({ reason: "UNAVAILABLE" });
  expect(await stream(9_000)).toEqual({ read: 2, outcome: "end", aborted: undefined });
});
