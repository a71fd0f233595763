import { Metadata } from "@grpc/grpc-js";
import { AppError, UnlistedError } from "@muster/errors";
import { checkProperty } from "@muster/testkit/check-property";
import { renderError } from "@muster/transcoder";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromConnectError, toConnectError } from "./connect/connect-errors.ts";
import { copyError } from "./error-copy.ts";
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

describe("a reason of a newer service", () => {
  const newer = new UnlistedError("THING_NOT_FOUND", "not_found", {
    message: "No thing has this id.",
    fields: [{ field: "thing_id", message: "is unknown" }],
    details: { thing: "t-1" },
    requestId: "request-7",
  });

  test.each([
    ["gRPC", () => fromGrpcError(Object.assign(new Error(), toGrpcStatus(newer)))],
    ["Connect", () => fromConnectError(toConnectError(newer))],
    ["the idempotency ledger", () => errorFromStatusBytes(boundError(newer).statusBytes)],
    ["a copy", () => copyError(newer)],
  ])("keeps its code, message and details by %s", (_name, cross) => {
    const { message, fields, details, requestId } = newer;
    expect(cross()).toMatchObject({
      reason: "THING_NOT_FOUND",
      codeName: "not_found",
      code: 5,
      row: { http: 404 },
      message,
      fields,
      details,
      requestId,
    });
  });

  test("is shown over REST in English", () => {
    const { status, headers, body } = renderError(newer, { requestId: "r", acceptLanguage: "de" });
    expect([status, headers["content-language"]]).toEqual([404, "en"]);
    expect(JSON.parse(String(body))).toMatchObject({
      code: "not_found",
      reason: "THING_NOT_FOUND",
      message: "No thing has this id.",
    });
  });
});

describe("errors of others", () => {
  test.each([
    [1, "Canceled on client", "CANCELED"],
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
  ] as const)("code %i, %s", (code, message, reason) => {
    const error = errorFromCode(code, message, undefined);
    expect(error.reason).toBe(reason);
    // Messages of foreign errors are only for the log.
    expect(error.message).not.toBe(message);
  });

  test("codes that several reasons have keep their code", () => {
    const statuses = new Map([
      [2, 500],
      [5, 404],
      [6, 409],
      [9, 400],
      [10, 409],
      [11, 400],
      [15, 500],
    ]);
    for (const [code, http] of statuses) {
      const serviceError = { code, details: "a secret", metadata: new Metadata() };
      const error = fromGrpcError(Object.assign(new Error(), serviceError));
      expect(error).toMatchObject({ reason: "UNSPECIFIED", code, row: { http } });
      expect(error.message).not.toContain("secret");
    }
    expect(errorFromCode(99, "?", undefined)).toMatchObject({ code: 2, row: { http: 500 } });
  });

  test("a broken connection tells the caller to try again", () => {
    for (const code of [13, 14]) {
      const error = errorFromCode(code, "Received RST_STREAM with code 8", undefined);
      expect(error).toMatchObject({ reason: "UNAVAILABLE", retryAfterMs: 1000 });
    }
  });

  test("details of another domain, or garbage, are not taken for ours", () => {
    expect(errorFromStatusBytes(Buffer.from("garbage"))).toBeUndefined();
    expect(errorFromStatusBytes(new Uint8Array())).toBeUndefined();
    expect(fromGrpcError(new Error("plain")).reason).toBe("INTERNAL");
  });
});
