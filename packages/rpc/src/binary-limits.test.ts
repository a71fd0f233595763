// Tests that a long protobuf message is refused before decoding, by the limits of its lists.
import { create, toBinary } from "@bufbuild/protobuf";
import {
  BatchRecordEventsRequestSchema,
  RecordEventRequestSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { CreateSegmentRequestSchema } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { AppError } from "@muster/errors";
import { expect, test } from "vitest";
import { checkBinaryLimits } from "./binary-limits.ts";

function refusal(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return error instanceof AppError ? `${error.reason} ${error.message}` : String(error);
  }
}

test("4 MiB of empty events", () => {
  const bytes = new Uint8Array(4 * 1024 * 1024).map((_, index) => (index % 2 === 0 ? 10 : 0));
  expect(refusal(() => checkBinaryLimits(BatchRecordEventsRequestSchema, bytes))).toBe(
    "FIELD_INVALID events: must contain no more than 5000 items",
  );
});

test("the largest batch passes", () => {
  const events = new Array(5_000).fill({ name: "x".repeat(50), properties: '{"a":1}' });
  const message = create(BatchRecordEventsRequestSchema, { events });
  const bytes = toBinary(BatchRecordEventsRequestSchema, message);
  expect(bytes.byteLength).toBeGreaterThan(64 * 1024);
  expect(refusal(() => checkBinaryLimits(BatchRecordEventsRequestSchema, bytes))).toBeUndefined();
});

test("a long list inside another message", () => {
  const rules = new Array(20_000).fill({ kind: { case: "performed", value: { eventName: "x" } } });
  const rule = { kind: { case: "any", value: { rules } } } as const;
  const bytes = toBinary(CreateSegmentRequestSchema, create(CreateSegmentRequestSchema, { name: "s", rule }));
  expect(refusal(() => checkBinaryLimits(CreateSegmentRequestSchema, bytes))).toMatch(
    /^FIELD_INVALID rule\.any\.rules: must contain no more than \d+ items$/,
  );
});

test("values that no list bounds, and nesting", () => {
  // A field that occurs again replaces its value, so any number may occur.
  const repeated = new Uint8Array(1_000_000).map((_, index) => (index % 2 === 0 ? 0x78 : 0));
  expect(refusal(() => checkBinaryLimits(RecordEventRequestSchema, repeated))).toBe(
    "REQUEST_MALFORMED The message has more than 250000 values.",
  );
});

test("bytes that are no message are left to the decoder", () => {
  expect(refusal(() => checkBinaryLimits(RecordEventRequestSchema, new Uint8Array(100_000).fill(255)))).toBe(
    undefined,
  );
});
