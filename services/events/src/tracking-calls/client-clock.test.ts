import { create } from "@bufbuild/protobuf";
import { TrackingCallSchema } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { clientClock } from "./client-clock.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const OFFSET_MIN = 600_000;
const DAY = 86_400_000;
const at = (ms: number): string => new Date(ms).toISOString();

/** Instants around all limits: the threshold, a day, the year 2000. */
const instant = fc.oneof(
  fc.integer({ min: NOW - 3 * OFFSET_MIN, max: NOW + 3 * OFFSET_MIN }),
  fc.integer({ min: NOW - 3 * DAY, max: NOW + 3 * DAY }),
  fc.integer({ min: 0, max: 2 * NOW }),
);
const text = fc.oneof(instant.map(at), fc.constant(""), fc.constant("yesterday"));
const call = fc.record({ timestamp: text, sentAt: text });

test("a correction never moves a call behind the receipt, and needs a difference above the limit", async () => {
  await checkProperty(
    fc.property(fc.array(call, { minLength: 1, maxLength: 6 }), text, (sent, sentAt) => {
      const calls = sent.map((one) => create(TrackingCallSchema, one));
      const { offsetMs, undatedMs } = clientClock({ calls, sentAt, nowMs: NOW, offsetMinMs: OFFSET_MIN });
      const dated = sent.map(({ timestamp }) => Date.parse(timestamp)).filter((ms) => !Number.isNaN(ms));
      expect(undatedMs).toBeGreaterThanOrEqual(NOW);
      expect(undatedMs).toBeLessThanOrEqual(NOW + OFFSET_MIN);
      if (offsetMs === 0) return;
      expect(Math.abs(offsetMs)).toBeGreaterThan(OFFSET_MIN);
      expect(offsetMs).toBeGreaterThanOrEqual(-DAY);
      for (const ms of dated) expect(ms + offsetMs).toBeLessThanOrEqual(NOW + OFFSET_MIN);
    }),
    { numRuns: 2000 },
  );
});

test("an undated call stays behind the dated calls of a clock that is fast below the limit", () => {
  const calls = [{ timestamp: at(NOW + 299_000) }, {}].map((one) => create(TrackingCallSchema, one));
  const clock = clientClock({ calls, sentAt: at(NOW + 300_000), nowMs: NOW, offsetMinMs: OFFSET_MIN });
  expect(clock).toEqual({ offsetMs: 0, undatedMs: NOW + 300_000 });
});

test("without a time of sending for the request, the latest of its calls counts for all", () => {
  const calls = [
    { timestamp: at(NOW - DAY), sentAt: at(NOW - 2 * 3_600_000) },
    { timestamp: at(NOW - DAY / 2), sentAt: at(NOW - 3_600_000) },
    { timestamp: at(NOW - DAY / 4), sentAt: at(0) },
  ].map((one) => create(TrackingCallSchema, one));
  const { offsetMs } = clientClock({ calls, sentAt: "", nowMs: NOW, offsetMinMs: OFFSET_MIN });
  expect(offsetMs).toBe(3_600_000);
});
