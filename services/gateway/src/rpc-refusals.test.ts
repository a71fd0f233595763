// Tests that every refusal on an RPC path has the form of the request's protocol, with a reason and the request
// id, and that the connection carries the next request.
import { fromBinary } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema, RequestInfoSchema } from "@muster/contracts/google/rpc/error_details_pb";
import { StatusSchema } from "@muster/contracts/google/rpc/status_pb";
import { AppError, type ReasonName, reasonTable } from "@muster/errors";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  head,
  RawConnection,
  send,
  startTestGateway,
  type TestGateway,
  type TestRequest,
  type TestResponse,
} from "./test-gateway.ts";

let muster: TestGateway;
beforeAll(async () => {
  muster = await startTestGateway();
});
afterAll(() => muster.gateway.stop(500));
beforeEach(() => {
  muster.caller.calls = [];
});

const RECORD = "/muster.events.v1.EventService/RecordEvent";
const TAIL = "/muster.events.v1.EventService/TailEvents";
const INGEST = "/muster.events.v1.EventService/IngestEvents";

/** What a client of the protocol reads out of a response. */
interface Failure {
  readonly status: number;
  readonly code: string | number;
  readonly reason: string | undefined;
  readonly requestId: string | undefined;
}

interface ConnectDetail {
  readonly type: string;
  readonly value: string;
}

function connectFailure(response: TestResponse, error: Record<string, unknown>): Failure {
  expect(Array.isArray(error.details)).toBe(true);
  const details = error.details as ConnectDetail[];
  const bytesOf = (name: string): Uint8Array =>
    Buffer.from(details.find(({ type }) => type === `google.rpc.${name}`)?.value ?? "", "base64");
  return {
    status: response.status,
    code: error.code as string,
    reason: fromBinary(ErrorInfoSchema, bytesOf("ErrorInfo")).reason,
    requestId: fromBinary(RequestInfoSchema, bytesOf("RequestInfo")).requestId,
  };
}

function failureOf(response: TestResponse): Failure {
  const type = response.headers["content-type"] ?? "";
  const { bytes } = response;
  if (type === "application/json") return connectFailure(response, response.json());
  const flags = bytes[0];
  const payload = bytes.subarray(5, 5 + bytes.readUInt32BE(1)).toString();
  if (type.startsWith("application/connect+")) {
    expect(flags).toBe(2);
    return connectFailure(response, JSON.parse(payload).error);
  }
  expect(type).toMatch(/^application\/grpc-web\+/);
  expect(flags).toBe(0x80);
  const trailers = new Map(
    payload
      .trim()
      .split("\r\n")
      .map((line) => line.split(": ") as [string, string]),
  );
  const encoded = Buffer.from(trailers.get("grpc-status-details-bin") ?? "", "base64");
  const { details } = fromBinary(StatusSchema, encoded);
  return {
    status: response.status,
    code: Number(trailers.get("grpc-status")),
    reason: details.map((any: Any) => anyUnpack(any, ErrorInfoSchema)).find((found) => found)?.reason,
    requestId: details.map((any: Any) => anyUnpack(any, RequestInfoSchema)).find((found) => found)?.requestId,
  };
}

const as = (type: string, body: string | Uint8Array = "{}", headers: Record<string, string> = {}) =>
  ({ method: "POST", body, headers: { "content-type": type, ...headers } }) satisfies TestRequest;
const frame = (bytes: Uint8Array | string, flags = 0, length = bytes.length): Buffer => {
  const start = Buffer.alloc(5);
  start[0] = flags;
  start.writeUInt32BE(length, 1);
  return Buffer.concat([start, Buffer.from(bytes)]);
};

const CONNECT = "application/json";
const STREAM = "application/connect+json";
const WEB = "application/grpc-web+proto";
const LARGE = new Uint8Array(5 * 1024 * 1024);

test.each<[string, string, TestRequest, number, string | number, ReasonName]>([
  [
    "unknown method",
    "/muster.events.v1.EventService/Nope",
    as(CONNECT),
    404,
    "unimplemented",
    "UNIMPLEMENTED",
  ],
  ["unknown service", "/acme.v1.Nope/Nope", as(CONNECT), 404, "unimplemented", "UNIMPLEMENTED"],
  ["unknown method, stream", "/acme.v1.Nope/Nope", as(STREAM), 200, "unimplemented", "UNIMPLEMENTED"],
  ["unknown method, gRPC-Web", "/acme.v1.Nope/Nope", as(WEB), 200, 12, "UNIMPLEMENTED"],
  ["unknown method, GET", "/acme.v1.Nope/Nope", {}, 404, "unimplemented", "UNIMPLEMENTED"],
  ["internal method", "/muster.events.v1.EventFeedService/GetPositions", as(WEB), 200, 12, "UNIMPLEMENTED"],
  ["wrong verb", RECORD, {}, 405, "unimplemented", "METHOD_NOT_ALLOWED"],
  ["wrong verb, gRPC-Web", RECORD, { ...as(WEB), method: "PUT" }, 405, "unimplemented", "METHOD_NOT_ALLOWED"],
  [
    "no content type",
    RECORD,
    { method: "POST", body: "{}" },
    415,
    "invalid_argument",
    "MEDIA_TYPE_UNSUPPORTED",
  ],
  ["HTML", RECORD, as("text/html"), 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"],
  ["codec", RECORD, as("application/grpc-web+xml"), 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"],
  ["gRPC", RECORD, as("application/grpc"), 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"],
  ["a stream as a call", RECORD, as(STREAM), 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"],
  ["a call as a stream", TAIL, as(CONNECT), 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"],
  ["charset", RECORD, as(`${CONNECT}; charset=utf-16`), 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"],
  ["semicolons", RECORD, as(`${CONNECT};;;`), 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"],
  ["stream of requests", INGEST, as(STREAM), 200, "unimplemented", "UNIMPLEMENTED"],
  ["stream of requests, gRPC-Web", INGEST, as(WEB), 200, 12, "UNIMPLEMENTED"],
  ["too large", RECORD, as(CONNECT, LARGE), 400, "invalid_argument", "TOO_LARGE"],
  ["too large, stream", TAIL, as(STREAM, frame(LARGE)), 200, "invalid_argument", "TOO_LARGE"],
  ["too large, gRPC-Web", RECORD, as(WEB, frame(LARGE)), 200, 8, "TOO_LARGE"],
  ["declared too large", RECORD, as(WEB, frame("", 0, 2e9)), 200, 8, "TOO_LARGE"],
  ["no JSON", RECORD, as(CONNECT, "{"), 400, "invalid_argument", "REQUEST_MALFORMED"],
  [
    "a wrong type",
    RECORD,
    as(CONNECT, '{"event":{"userId":7}}'),
    400,
    "invalid_argument",
    "REQUEST_MALFORMED",
  ],
  ["no UTF-8", RECORD, as(CONNECT, new Uint8Array([255])), 400, "invalid_argument", "REQUEST_MALFORMED"],
  ["no protobuf", RECORD, as("application/proto", "\xff\xff"), 400, "invalid_argument", "REQUEST_MALFORMED"],
  ["no protobuf, gRPC-Web", RECORD, as(WEB, frame(new Uint8Array([255]))), 200, 3, "REQUEST_MALFORMED"],
  ["cut off", RECORD, as(WEB, frame("abc", 0, 9)), 200, 3, "REQUEST_MALFORMED"],
  ["no frame", RECORD, as(WEB, "ab"), 200, 3, "REQUEST_MALFORMED"],
  ["flags", RECORD, as(WEB, frame("", 1)), 200, 3, "REQUEST_MALFORMED"],
  ["no message", RECORD, as(WEB, ""), 200, 12, "UNIMPLEMENTED"],
  ["two messages", RECORD, as(WEB, Buffer.concat([frame(""), frame("")])), 200, 12, "UNIMPLEMENTED"],
  [
    "compression",
    RECORD,
    as(CONNECT, "{}", { "content-encoding": "br" }),
    501,
    "unimplemented",
    "UNIMPLEMENTED",
  ],
  [
    "timeout",
    RECORD,
    as(CONNECT, "{}", { "connect-timeout-ms": "x" }),
    400,
    "invalid_argument",
    "REQUEST_MALFORMED",
  ],
  ["timeout, gRPC-Web", RECORD, as(WEB, frame(""), { "grpc-timeout": "1h" }), 200, 3, "REQUEST_MALFORMED"],
])("%s", async (_name, path, request, status, code, reason) => {
  const response = await send(muster.port, path, request);
  const requestId = response.headers["x-request-id"];
  expect(failureOf(response)).toEqual({ status, code, reason, requestId });
  if (status === 405) expect(response.headers.allow).toBe("OPTIONS, POST");
  expect(muster.caller.calls).toEqual([]);
});

describe("errors of methods", () => {
  const reasons = Object.keys(reasonTable) as ReasonName[];

  test.each([
    [CONNECT, RECORD, "{}"],
    [STREAM, TAIL, frame("{}")],
    [WEB, RECORD, frame("")],
  ])("%s carries every reason, and 503 and 429 say when to try again", async (type, path, body) => {
    for (const reason of reasons) {
      const fail = (): never => {
        throw new AppError(reason);
      };
      muster.caller.response = fail;
      // biome-ignore lint/correctness/useYield: a stream that fails at once.
      muster.caller.messages = async function* () {
        fail();
      };
      const response = await send(muster.port, path, as(type, body));
      expect(failureOf(response).reason).toBe(reason);
      const waits = [429, 503].includes(reasonTable[reason].http);
      const whole = JSON.stringify(response.headers) + response.text;
      expect(/retry-after/i.test(whole), reason).toBe(waits);
    }
  });

  test("REST: 503 and 429 say when to try again, whatever threw the error", async () => {
    for (const reason of reasons) {
      muster.caller.response = async () => {
        throw new AppError(reason);
      };
      const response = await send(muster.port, "/v1/events", as(CONNECT, '{"user_id":"u","name":"n"}'));
      const waits = response.status === 503 || response.status === 429;
      expect(response.headers["retry-after"] !== undefined, reason).toBe(waits);
    }
  });
});

describe("after a refusal, the connection carries the next request", () => {
  test.each<[string, string, string, Uint8Array | string]>([
    ["too large, gRPC-Web", RECORD, WEB, frame(LARGE)],
    ["a length of 2 GB", RECORD, WEB, frame(new Uint8Array(500_000), 0, 2e9)],
    ["too large, Connect stream", TAIL, STREAM, frame(LARGE)],
    ["too large, Connect", RECORD, CONNECT, LARGE],
    ["wrong type", RECORD, "text/x", LARGE],
    ["unknown method", "/acme.v1.Nope/Nope", WEB, frame(LARGE)],
    ["stream of requests", INGEST, STREAM, frame(LARGE)],
    ["REST", "/v1/events", CONNECT, LARGE],
  ])("%s", async (_name, path, type, body) => {
    const connection = await RawConnection.open(muster.port);
    connection.send(head("POST", path, { "content-type": type, "content-length": body.length }), body);
    const [refused] = await connection.responses(1);
    connection.send(head("GET", "/version"));
    expect(await connection.responses(2)).toEqual([refused, 200]);
    connection.socket.destroy();
  });
});
