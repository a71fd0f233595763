// Tests ETag, If-None-Match and If-Match of versioned resources.
import { create, type Message } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { message, registry, service } from "../testdata/load.ts";
import { MessageCodecs } from "./json/message-codec.ts";
import { RouteTable } from "./routes/route-table.ts";
import { Transcoder } from "./transcoder.ts";

let document: Record<string, unknown> | undefined;
let request: Record<string, unknown>;
const transcoder = new Transcoder({
  services: [service("DocumentService")],
  caller: () => ({
    async unary(_method, received: Message) {
      request = received as unknown as Record<string, unknown>;
      const own = document && { document: create(message("Document"), document) };
      return { message: create(message("GetDocumentResponse"), own), headers: new Map() };
    },
    stream: () => {
      throw new Error("no stream is tested here");
    },
  }),
});

function send(method: string, headers: Record<string, string> = {}, body?: object, query = "") {
  return transcoder.handle(
    {
      method,
      url: `/v1/documents/d${query}`,
      headers: new Map(Object.entries({ "content-type": "application/json", ...headers })),
      body: body && (async () => Buffer.from(JSON.stringify(body))),
    },
    { requestId: "r", signal: new AbortController().signal },
  );
}

async function tagOf(version: bigint, views: number, method = "GET"): Promise<string> {
  document = { id: "d", version, views };
  const { status, headers } = await send(method);
  expect(status).toBe(200);
  expect(headers["cache-control"]).toBe("private, no-cache");
  return headers.etag ?? "";
}

test("the tag changes with the version and with the content, and is that of the resource on every route", async () => {
  const tag = await tagOf(3n, 1);
  expect(tag).toMatch(/^"3-[\w-]{16}"$/);
  expect(await tagOf(3n, 1)).toBe(tag);
  expect(await tagOf(3n, 1, "HEAD")).toBe(tag);
  expect(await tagOf(3n, 1, "PATCH")).toBe(tag);
  expect(await tagOf(3n, 2)).not.toBe(tag);
  expect(await tagOf(4n, 1)).not.toBe(tag);
});

test("a response without the resource has no tag", async () => {
  document = undefined;
  expect((await send("GET")).headers.etag).toBeUndefined();
});

describe("If-None-Match", () => {
  test.each(["GET", "HEAD"])("%s answers 304 where the tag is listed, without a body", async (method) => {
    const tag = await tagOf(1n, 1);
    for (const known of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
      const { status, headers, body } = await send(method, { "if-none-match": known });
      expect({ status, headers, body }, known).toEqual({
        status: 304,
        headers: { etag: tag, "cache-control": "private, no-cache" },
        body: undefined,
      });
    }
  });

  test("other tags get the resource", async () => {
    const tag = await tagOf(1n, 1);
    for (const other of ['"1"', tag.slice(1, -1), `"x${tag.slice(1)}`, "", '"', "W/"]) {
      expect((await send("GET", { "if-none-match": other })).status, other).toBe(200);
    }
  });

  test("a change ignores the header", async () => {
    await tagOf(1n, 1);
    expect((await send("PATCH", { "if-none-match": "*" }, {})).status).toBe(200);
  });
});

describe("If-Match", () => {
  test("reaches the method as sent", async () => {
    await send("PATCH", { "if-match": '"1-x", W/"2"' }, { title: "t" });
    expect(request).toMatchObject({ id: "d", title: "t", ifMatch: '"1-x", W/"2"' });
    await send("PATCH", {}, { title: "t" });
    expect(Object.hasOwn(request, "ifMatch")).toBe(false);
  });

  test.each(["if_match", "ifMatch"])("no body and no query may set it: %s", async (name) => {
    const inBody = await send("PATCH", {}, { [name]: '"1"' });
    expect([inBody.status, String(inBody.body)]).toEqual([400, expect.stringContaining(`"field":"${name}"`)]);
    const inQuery = await send("GET", {}, undefined, `?${name}=1`);
    expect(inQuery.status).toBe(400);
  });
});

describe("routes that do not fit", () => {
  test.each([
    ["UnknownVersionService", "version_field: missing is no field of transcoder.test.v1.RefusedResponse"],
    ["MessageVersionService", "version_field: child is no number"],
    ["NoIfMatchService", "version_field: the request has no optional string if_match"],
    ["IfMatchNumberService", "if_match is no optional string"],
  ])("%s", (name, reason) => {
    expect(() => new RouteTable([service(name)], new MessageCodecs(registry))).toThrow(reason);
  });
});
