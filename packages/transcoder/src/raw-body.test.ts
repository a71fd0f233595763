// Tests raw_body: the method receives the bytes as sent, and no client can set the field in another way.
import { create, type Message } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { message, registry, service } from "../testdata/load.ts";
import { MessageCodecs } from "./json/message-codec.ts";
import { RouteTable } from "./routes/route-table.ts";
import { Transcoder } from "./transcoder.ts";

let request: Record<string, unknown> | undefined;
let metadata: ReadonlyMap<string, string>;
const transcoder = new Transcoder({
  services: [service("DocumentService")],
  caller: () => ({
    async unary(_method, received: Message, options) {
      request = received as unknown as Record<string, unknown>;
      metadata = options.headers;
      return { message: create(message("GetDocumentResponse")), headers: new Map() };
    },
    stream: () => {
      throw new Error("no stream is tested here");
    },
  }),
});

function send(body: string, query = "") {
  request = undefined;
  return transcoder.handle(
    {
      method: "POST",
      url: `/v1/documents:sign${query}`,
      headers: new Map([
        ["content-type", "application/json"],
        ["x-signature", "t=1,v1=aa"],
        ["x-other", "no"],
      ]),
      body: async () => Buffer.from(body),
    },
    { requestId: "r", signal: new AbortController().signal },
  );
}

test("the method receives the bytes beside the fields, and the headers that it names", async () => {
  const body = ' {"id":\r\n "\\u0064" }  ';
  expect((await send(body)).status).toBe(200);
  expect(request).toMatchObject({ id: "d" });
  expect(Buffer.from(request?.rawBody as Uint8Array).toString()).toBe(body);
  expect(Object.fromEntries(metadata)).toEqual({ "x-signature": "t=1,v1=aa" });
});

test("an empty body is empty bytes", async () => {
  await send("");
  expect(request?.rawBody).toHaveLength(0);
});

test.each(["raw_body", "rawBody"])("neither the body nor the query may set %s", async (name) => {
  expect((await send(JSON.stringify({ [name]: "AA==" }))).status).toBe(400);
  expect((await send("{}", `?${name}=AA==`)).status).toBe(400);
  expect(request).toBeUndefined();
});

test.each(["RawBodyTextService", "RawBodyPartService", "NoRawBodyService"])("%s does not compile", (name) => {
  expect(() => new RouteTable([service(name)], new MessageCodecs(registry))).toThrow(/raw_body/);
});
