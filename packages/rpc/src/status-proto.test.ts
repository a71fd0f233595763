import { AppError } from "@muster/errors";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromConnectError, toConnectError } from "./connect/connect-errors.ts";
import { fromGrpcError, toGrpcStatus } from "./grpc/grpc-errors.ts";
import { boundError, errorFromCode, errorFromStatusBytes } from "./status-proto.ts";

const anyText = fc.string({ unit: "binary", maxLength: 3000 });
const anyError = fc
  .record({
    message: anyText,
    fields: fc.array(fc.record({ field: anyText, message: anyText }), { maxLength: 40 }),
    details: fc.dictionary(anyText, anyText, { maxKeys: 30 }),
    retryAfterMs: fc.nat(1_000_000),
  })
  .map((options) => new AppError("FIELD_INVALID", { ...options, requestId: "request-1" }));

describe("any error message", () => {
  test("its trailers stay under 8 KiB and keep the reason", async () => {
    await checkProperty(
      fc.property(anyError, (error) => {
        const { statusBytes } = boundError(error);
        const status = toGrpcStatus(error);
        const trailerBytes = Math.ceil(statusBytes.byteLength / 3) * 4 + encodeURI(status.details).length;
        expect(trailerBytes).toBeLessThan(8 * 1024);
        expect(errorFromStatusBytes(statusBytes)).toMatchObject({
          reason: "FIELD_INVALID",
          requestId: "request-1",
          retryAfterMs: error.retryAfterMs,
        });
      }),
      { numRuns: 50 },
    );
  });

  test("the largest possible is cut, from the end", () => {
    const long = "\u20ac".repeat(3000);
    const error = new AppError("FIELD_INVALID", {
      message: long,
      fields: Array.from({ length: 100 }, () => ({ field: long, message: long })),
      details: Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}${long}`, long])),
      requestId: "r",
    });
    const { statusBytes } = boundError(error);
    expect(statusBytes.byteLength).toBeLessThan(5 * 1024);
    expect(errorFromStatusBytes(statusBytes)).toMatchObject({ reason: "FIELD_INVALID", requestId: "r" });
  });

  test("halves of surrogate pairs do not break it", () => {
    const error = new AppError("FIELD_INVALID", { message: `${"x".repeat(510)}\u{1f600}\ud800` });
    expect(() => toGrpcStatus(error)).not.toThrow();
    expect(toGrpcStatus(error).details.isWellFormed()).toBe(true);
  });
});

test("an error within bounds crosses whole, by gRPC and by Connect", () => {
  const error = new AppError("OVERLOADED", {
    message: "too much: 100 % of \u00e9",
    fields: [{ field: "events[0].name", message: "x" }],
    details: { queue: "ingest" },
    retryAfterMs: 1500,
    requestId: "request-9",
    replayed: true,
  });
  const { message, fields, details, retryAfterMs, requestId, replayed } = error;
  const same = { reason: "OVERLOADED", message, fields, details, retryAfterMs, requestId, replayed };
  const serviceError = Object.assign(new Error("8 RESOURCE_EXHAUSTED"), toGrpcStatus(error));
  expect(fromGrpcError(serviceError)).toMatchObject(same);
  expect(fromConnectError(toConnectError(error))).toMatchObject({ ...same, details });
});

describe("errors of others", () => {
  test.each([
    [1, "Canceled on client", "CANCELED"],
    [2, "Unknown error", "INTERNAL"],
    [3, "bad", "REQUEST_MALFORMED"],
    [4, "Deadline exceeded", "DEADLINE_EXCEEDED"],
    [7, "no", "PERMISSION_DENIED"],
    [8, "Received message larger than max (5 vs. 4)", "TOO_LARGE"],
    [8, "quota", "OVERLOADED"],
    [12, "The server does not implement the method", "UNIMPLEMENTED"],
    [13, "Received RST_STREAM with code 2 (Internal server error)", "UNAVAILABLE"],
    [13, "boom", "INTERNAL"],
    [14, "No connection established", "UNAVAILABLE"],
    [16, "who?", "UNAUTHENTICATED"],
    [99, "?", "INTERNAL"],
  ] as const)("code %i, %s", (code, message, reason) => {
    const error = errorFromCode(code, message, undefined);
    expect(error.reason).toBe(reason);
    // Messages of foreign errors are only for the log.
    expect(error.message).not.toBe(message);
  });

  test("details of another domain, or garbage, are not taken for ours", () => {
    expect(errorFromStatusBytes(Buffer.from("garbage"))).toBeUndefined();
    expect(errorFromStatusBytes(new Uint8Array())).toBeUndefined();
    expect(fromGrpcError(new Error("plain")).reason).toBe("INTERNAL");
  });
});
