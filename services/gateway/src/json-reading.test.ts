// Sends the same JSON over REST, Connect and gRPC-Web: every mount accepts the same texts, as the same messages,
// and refuses the same texts.
import { create, type Message } from "@bufbuild/protobuf";
import { PreviewSegmentResponseSchema } from "@muster/contracts/muster/segments/v1/segment_preview_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { send, startTestGateway, type TestGateway } from "./test-gateway.ts";

let muster: TestGateway;

beforeAll(async () => {
  muster = await startTestGateway();
  muster.caller.response = async () => ({
    message: create(PreviewSegmentResponseSchema),
    headers: new Map(),
  });
});
afterAll(() => muster.gateway.stop(500));

const RPC_PATH = "/muster.segments.v1.SegmentService/PreviewSegment";
/** The message that the method received, or "refused". */
type Verdict = Message | "refused";

const mounts: Readonly<Record<string, (body: string) => Promise<Verdict>>> = {
  REST: (body) => post("/v1/segments:preview", "application/json", body),
  Connect: (body) => post(RPC_PATH, "application/json", body),
  async "gRPC-Web"(body) {
    const bytes = Buffer.from(body);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.byteLength, 1);
    return post(RPC_PATH, "application/grpc-web+json", Buffer.concat([head, bytes]));
  },
};

async function post(path: string, contentType: string, body: string | Uint8Array): Promise<Verdict> {
  muster.caller.calls = [];
  const headers = { authorization: "Bearer mk_x", "content-type": contentType };
  const response = await send(muster.port, path, { method: "POST", headers, body });
  const isGood = response.status === 200 && !/grpc-status: *[1-9]/i.test(response.text);
  if (isGood) return muster.caller.last.request;
  expect(muster.caller.calls).toEqual([]);
  // INVALID_ARGUMENT, in the form of each protocol.
  expect(`${response.status} ${response.text}`).toMatch(/^400 .*"invalid_argument"|grpc-status: *3\b/is);
  return "refused";
}

async function verdictOf(body: string): Promise<"accepted" | "refused"> {
  const verdicts: Record<string, Verdict> = {};
  for (const [name, request] of Object.entries(mounts)) verdicts[name] = await request(body);
  const { REST: rest } = verdicts;
  expect(verdicts, body).toEqual({ REST: rest, Connect: rest, "gRPC-Web": rest });
  return rest === "refused" ? "refused" : "accepted";
}

const instant = (text: string) =>
  `{"rule":{"performed":{"eventName":"a","window":{"between":{"from":${text},"to":"2030-01-01T00:00:00Z"}}}}}`;
const duration = (text: string) => `{"rule":{"performed":{"eventName":"a","window":{"last":${text}}}}}`;
const integer = (text: string) => `{"minCount":${text}}`;
const double = (text: string) => `{"rule":{"aggregate":{"atLeast":${text}}}}`;
const choice = (text: string) => `{"rule":{"aggregate":{"function":${text}}}}`;

describe.each([
  [
    "an instant",
    instant,
    ['"2024-02-29T23:59:59Z"', '"2024-01-01t00:00:00z"', '"2024-01-01T00:00:00.123456789+05:45"'],
  ],
  ["a duration", duration, ['"5s"', '"1.5s"', '"-0.000000001s"', '"315576000000.999999999s"', "null"]],
  ["an integer", integer, ["5", "5.0", "5e0", '"5"', '"-0"', "null"]],
  ["a number", double, ["1.5", '"1.5"', '"1e1"', '"NaN"', "0", "-0"]],
  ["an enum", choice, ['"FUNCTION_SUM"', '"sum"', "1", '"1"']],
])("%s is accepted on every mount", (_name, bodyOf, texts) => {
  test.each(texts)("%s", async (text) => expect(await verdictOf(bodyOf(text))).toBe("accepted"));
});

describe.each([
  [
    "an instant",
    instant,
    [
      '"2024-02-30T00:00:00Z"',
      '"2023-02-29T00:00:00Z"',
      '"2024-01-01T24:00:00Z"',
      '"2016-12-31T23:59:60Z"',
      '"2024-01-01 00:00:00Z"',
      '"2024-01-01T00:00:00"',
      '"2024-01-01T00:00:00Z "',
      '"0000-01-01T00:00:00Z"',
      '" "',
      '""',
      "1700000000",
    ],
  ],
  [
    "a duration",
    duration,
    ['"5s "', '" 5s"', '"5"', '"5 s"', '"1e1s"', '"0x5s"', '"315576000001s"', '""', "5"],
  ],
  [
    "an integer",
    integer,
    ['"5 "', '" "', '""', '"0x5"', '"1e1"', '"5.0"', "5.5", "2147483648", "true", '"05"'],
  ],
  ["a number", double, ['"1.5 "', '" "', '""', '"0x5"', '"Infinity "', "1e400", "true"]],
  ["an enum", choice, ['"FUNCTION_NONE"', '""', '"sum "', "99", "true"]],
  ["a body", (text: string) => text, ["[]", "null", "{", '"{}"', '{"new":1}', '{"exact":"true"}']],
  [
    "a repeated key",
    (text: string) => text,
    [
      '{"exact":true,"exact":true}',
      '{"minCount":1,"min_count":1}',
      '{"rule":{"all":{"rules":[{"not":{},"not":{}}]}}}',
    ],
  ],
  [
    "two members of a oneof",
    (text: string) => text,
    ['{"rule":{"all":{},"any":{}}}', '{"rule":{"aggregate":{"atLeast":1,"at_most":2}}}'],
  ],
  ["half a surrogate pair", (text: string) => text, [String.raw`{"event_name":"\ud83d"}`]],
])("%s is refused on every mount", (_name, bodyOf, texts) => {
  test.each(texts)("%s", async (text) => expect(await verdictOf(bodyOf(text))).toBe("refused"));
});
