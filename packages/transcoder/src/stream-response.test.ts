// Tests streamed bodies: status, headers, ranges that reach the handler, and failures before and after the first message.
import { create, type Message } from "@bufbuild/protobuf";
import { HttpBodySchema } from "@muster/contracts/google/api/httpbody_pb";
import { AppError } from "@muster/errors";
import { beforeEach, describe, expect, test } from "vitest";
import { service } from "../testdata/load.ts";
import { Transcoder } from "./transcoder.ts";

let metadata: ReadonlyMap<string, string>;
let deadlineMs: number | undefined;
let setHeaders: Record<string, string>;
let pieces: () => AsyncGenerator<string>;
let ended: number;

beforeEach(() => {
  setHeaders = {};
  ended = 0;
  pieces = async function* () {
    yield "ab";
    yield "";
    yield "c";
  };
});

const transcoder = new Transcoder({
  services: [service("DocumentService")],
  caller: () => ({
    unary: () => Promise.reject(new Error("the route streams")),
    stream(_method, _requests, options) {
      ({ headers: metadata, deadlineMs } = options);
      const headers = new Map<string, string>();
      return { messages: messages(headers), headers };
    },
  }),
  responseHeaders: ["retry-after"],
});

async function* messages(headers: Map<string, string>): AsyncGenerator<Message> {
  try {
    for (const [name, value] of Object.entries(setHeaders)) headers.set(name, value);
    for await (const piece of pieces()) {
      yield create(HttpBodySchema, { contentType: "text/plain", data: Buffer.from(piece) });
    }
  } finally {
    ended += 1;
  }
}

function send(method = "GET", headers: Record<string, string> = {}) {
  return transcoder.handle(
    { method, url: "/v1/documents/d/content", headers: new Map(Object.entries(headers)) },
    { requestId: "r", signal: new AbortController().signal, deadlineOf: () => 1 },
  );
}

async function textOf({ stream }: Awaited<ReturnType<typeof send>>): Promise<string> {
  let text = "";
  for await (const piece of stream ?? []) text += Buffer.from(piece).toString();
  return text;
}

test("the pieces are the body, without a deadline", async () => {
  const response = await send();
  expect(response).toMatchObject({ status: 200, headers: { "content-type": "text/plain" }, body: undefined });
  expect(response.route?.template).toBe("/v1/documents/{id}/content");
  expect(await textOf(response)).toBe("abc");
  expect(deadlineMs).toBeUndefined();
  expect(ended).toBe(1);
});

test("a body without messages is empty", async () => {
  pieces = async function* () {};
  const response = await send();
  expect(response).toMatchObject({ status: 200, headers: { "content-type": "application/octet-stream" } });
  expect(await textOf(response)).toBe("");
});

test("metadata sets the status and these headers, and no others", async () => {
  const headers = {
    "content-type": "application/zip",
    "content-length": "3",
    "content-range": "bytes 0-2/9",
    "content-disposition": "attachment",
    "accept-ranges": "bytes",
    etag: '"e"',
  };
  setHeaders = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [`muster-http-${name}`, value]),
  );
  Object.assign(setHeaders, {
    "muster-http-status": "206",
    "muster-http-set-cookie": "a=b",
    "content-length": "7",
    "retry-after": "5",
  });
  const response = await send();
  expect(response.status).toBe(206);
  expect(response.headers).toEqual({ ...headers, "retry-after": "5" });
});

describe("the handler receives", () => {
  test("the method and the range of a GET", async () => {
    await send("GET", { range: "bytes=1-2", "if-range": '"e"' });
    expect(Object.fromEntries(metadata)).toEqual({
      "muster-http-method": "GET",
      "muster-http-range": "bytes=1-2",
      "muster-http-if-range": '"e"',
    });
  });

  test("no range of HEAD", async () => {
    await send("HEAD", { range: "bytes=1-2" });
    expect(Object.fromEntries(metadata)).toEqual({ "muster-http-method": "HEAD" });
  });

  test.each([
    { range: "bytes=1-2\u00e9" },
    { range: `bytes=${"1-2,".repeat(80)}3-4` },
    { range: "bytes=1-2", "if-range": '"\u00e9"' },
  ])("no range that cannot be passed on: %o", async (headers) => {
    await send("GET", headers);
    expect(Object.fromEntries(metadata)).toEqual({ "muster-http-method": "GET" });
  });
});

test("HEAD has the headers of GET, and ends the call", async () => {
  setHeaders = { "muster-http-content-length": "3" };
  const response = await send("HEAD");
  expect(response).toMatchObject({
    status: 200,
    headers: { "content-type": "text/plain", "content-length": "3" },
    body: undefined,
  });
  expect(response.stream).toBeUndefined();
  expect(ended).toBe(1);
});

test("an error before the first message is a response of its own", async () => {
  // biome-ignore lint/correctness/useYield: fails before the first message.
  pieces = async function* () {
    throw new AppError("RANGE_NOT_SATISFIABLE", { details: { size: "9" } });
  };
  const response = await send();
  expect(response).toMatchObject({ status: 416, headers: { "content-range": "bytes */9" } });
  expect(JSON.parse(String(response.body))).toMatchObject({
    code: "out_of_range",
    reason: "RANGE_NOT_SATISFIABLE",
  });
  expect(response.stream).toBeUndefined();
});

test("an error after the first message rejects the stream", async () => {
  pieces = async function* () {
    yield "a";
    throw new AppError("UNAVAILABLE");
  };
  const response = await send();
  expect(response.status).toBe(200);
  await expect(textOf(response)).rejects.toMatchObject({ reason: "UNAVAILABLE" });
});

test("a reader that leaves ends the call, also before it reads", async () => {
  const unread = await send();
  await unread.stream?.return?.();
  expect(ended).toBe(1);
  for await (const _ of (await send()).stream ?? []) break;
  expect(ended).toBe(2);
});
