import { create, type Message } from "@bufbuild/protobuf";
import { AppError, reasonMessage } from "@muster/errors";
import { describe, expect, test } from "vitest";
import { message, service } from "../testdata/load.ts";
import { Transcoder } from "./transcoder.ts";

type Fields = Record<string, unknown>;

/** A caller that records calls and returns prepared responses. */
class RecordingCaller {
  request: Fields | undefined;
  metadata: ReadonlyMap<string, string> | undefined;
  rendered: (request: Message) => { message: Message; headers?: Record<string, string> } = () => {
    throw new AppError("UNIMPLEMENTED");
  };

  async unary(_method: unknown, request: Message, options: { headers: ReadonlyMap<string, string> }) {
    this.request = request as unknown as Fields;
    this.metadata = options.headers;
    const { message: rendered, headers } = this.rendered(request);
    return { message: rendered, headers: new Map(Object.entries(headers ?? {})) };
  }

  stream(): never {
    throw new Error("no route of LibraryService streams");
  }
}

const caller = new RecordingCaller();
const transcoder = new Transcoder({
  services: [service("LibraryService")],
  caller: () => caller,
  alias: { prefix: "/v1/", alias: "/api/" },
  queryMetadata: { consistency: { metadata: "muster-consistency", values: ["eventual"] } },
  requestHeaders: ["authorization"],
  responseHeaders: ["idempotency-replayed"],
});

const bookResponse = (book: Fields) => () => ({
  message: create(message("GetBookResponse"), { book: create(message("Book"), book) }),
});

async function send(
  method: string,
  url: string,
  body?: string | Uint8Array,
  headers: Record<string, string> = { "content-type": "application/json" },
) {
  caller.request = undefined;
  const response = await transcoder.handle(
    {
      method,
      url,
      headers: new Map(Object.entries(headers)),
      body:
        body === undefined
          ? undefined
          : async () => (typeof body === "string" ? new TextEncoder().encode(body) : body),
    },
    {
      requestId: "request-1",
      signal: new AbortController().signal,
      metadata: new Map([["x-request-id", "request-1"]]),
    },
  );
  return { ...response, json: () => JSON.parse(String(response.body)) as Fields };
}

/** The message that reached the method. */
async function bound(
  method: string,
  url: string,
  body?: string,
  headers?: Record<string, string>,
): Promise<Fields> {
  caller.rendered = bookResponse({ id: "b" });
  const response = await send(method, url, body, headers);
  if (caller.request === undefined) throw new Error(String(response.body));
  return caller.request;
}

/** Status, reason and fields of an error response. */
async function refusal(
  method: string,
  url: string,
  body?: string | Uint8Array,
  headers?: Record<string, string>,
) {
  const response = await send(method, url, body, headers);
  expect(caller.request).toBeUndefined();
  const {
    reason,
    fields,
    message: text,
  } = response.json() as { reason: string; fields: Fields[]; message: string };
  return `${response.status} ${reason} ${fields.length > 0 ? `${fields[0]?.field}: ${fields[0]?.message}` : text}`;
}

describe("binding", () => {
  test("path variables, also nested ones", async () => {
    expect(await bound("GET", "/v1/books/a%2Fb%20c")).toMatchObject({ bookId: "a/b c" });
    const nested = await bound("GET", "/v1/shelves/s1/books/7?shelf.floor=2&shelf.above.floor=3");
    expect(nested).toMatchObject({ bookId: "7", shelf: { id: "s1", floor: 2, above: { floor: 3 } } });
  });

  test("a variable of several segments keeps %2F and decodes the rest", async () => {
    expect(await bound("GET", "/v1/files/a%2Fb/c%20d/%2f")).toMatchObject({ name: "files/a%2Fb/c d/%2f" });
    expect(await bound("GET", "/v1/files")).toMatchObject({ name: "files" });
  });

  test("path variables of every type with a text form", async () => {
    expect(await bound("GET", "/v1/echo/9007199254740993/Red/2020-01-01T00:00:00Z/w")).toMatchObject({
      large: 9007199254740993n,
      color: 1,
      time: { seconds: 1577836800n },
      wrappedText: "w",
    });
    expect(await refusal("GET", "/v1/echo/x/red/2020-01-01T00:00:00Z/w")).toBe(
      "400 REQUEST_MALFORMED large: must be an integer in decimal digits",
    );
  });

  test("query parameters", async () => {
    const request = await bound(
      "GET",
      "/v1/books?query=a+b%26c&authors=x,y&authors=z&years=1&years=2&shelf.floor=-1&maxAge=3.5s&available=true" +
        "&fields=title,subTitle&color=dark_blue&strict=false&cursor=_-8&from=2020-02-29&to=2020-02-29&postcode=12&weight=1e3",
    );
    expect(request).toMatchObject({
      query: "a b&c",
      authors: ["x", "y", "z"],
      years: [1, 2],
      shelf: { floor: -1 },
      maxAge: { seconds: 3n, nanos: 500_000_000 },
      available: true,
      fields: { paths: ["title", "sub_title"] },
      color: 2,
      strict: false,
      cursor: new Uint8Array([255, 239]),
      from: { seconds: 1582934400n, nanos: 0 },
      to: { seconds: 1583020799n, nanos: 999_000_000 },
      place: { case: "postcode", value: 12n },
      weight: 1000,
    });
    expect(await bound("GET", "/v1/books?query=")).toMatchObject({ query: "" });
    expect(await bound("GET", "/v1/books?")).toMatchObject({ query: "" });
  });

  test("the body as one field, with query parameters beside it", async () => {
    const request = await bound("POST", "/v1/books?dry_run=true", '{"title":"t","extra":{"n":1.50}}');
    expect(request).toMatchObject({ dryRun: true, book: { title: "t", extra: '{"n":1.50}' } });
    expect(await bound("POST", "/v1/books")).toMatchObject({ book: { title: "" } });
  });

  test("the body as the message, and the path that wins where both are equal", async () => {
    expect(await bound("POST", "/v1/books/7:archive", '{"reason":"old","book_id":"7"}')).toMatchObject({
      bookId: "7",
      reason: "old",
    });
    expect(await refusal("POST", "/v1/books/7:archive", '{"book_id":"8"}')).toBe(
      "400 REQUEST_MALFORMED book_id: differs from the path",
    );
  });

  test("a body that is an array", async () => {
    expect(await bound("PUT", "/v1/tags?owner=me", '["a","b"]')).toMatchObject({
      tags: ["a", "b"],
      owner: "me",
    });
    expect(await refusal("PUT", "/v1/tags", '["a",1]')).toBe("400 REQUEST_MALFORMED [1]: must be a string");
  });

  test("unknown parameters and keys are skipped where the method's option allows them", async () => {
    expect(await bound("GET", "/v1/tracked-books?no_such=1&query=q")).toMatchObject({ query: "q" });
  });

  test("metadata: only named headers, the method's own, the context's, and query parameters that mean metadata", async () => {
    await bound("POST", "/v1/books?consistency=eventual", "{}", {
      "content-type": "application/json",
      authorization: "Bearer k",
      "x-extra": "e",
      "x-other": "o",
    });
    expect(Object.fromEntries(caller.metadata ?? [])).toEqual({
      authorization: "Bearer k",
      "x-extra": "e",
      "x-request-id": "request-1",
      "muster-consistency": "eventual",
    });
  });
});

describe("the mask of a PATCH", () => {
  const maskOf = async (url: string, body: string) =>
    ((await bound("PATCH", url, body)).updateMask as { paths: string[] }).paths;

  test.each([
    ["/v1/books/7", '{"subTitle":null,"title":"t"}', ["sub_title", "title"]],
    ["/v1/books/7", "{}", []],
    ["/v1/books/7", '{"title":"t","update_mask":"pages"}', ["pages"]],
    ["/v1/books/7", '{"title":"t","updateMask":null}', ["title"]],
    ["/v1/books/7?update_mask=subTitle,title", '{"pages":1}', ["sub_title", "title"]],
    ["/v1/flat-books/7", '{"title":"t","book_id":"7"}', ["title"]],
    ["/v1/flat-books/7?updateMask=title", "{}", ["title"]],
  ])("%s %s", async (url, body, expected) => {
    expect(await maskOf(url, body)).toEqual(expected);
  });

  test("null leaves the field unset", async () => {
    expect((await bound("PATCH", "/v1/books/7", '{"sub_title":null}')).book).not.toHaveProperty("subTitle");
  });

  test("a mask spelled in both ways", async () => {
    expect(await refusal("PATCH", "/v1/books/7", '{"update_mask":"title","updateMask":"pages"}')).toBe(
      "400 REQUEST_MALFORMED update_mask: is given twice, as update_mask and updateMask",
    );
  });

  test("a mask of a wrong type", async () => {
    expect(await refusal("PATCH", "/v1/books/7", '{"update_mask":3}')).toBe(
      "400 REQUEST_MALFORMED update_mask: must be a string",
    );
  });
});

describe("refusals", () => {
  test.each([
    ["GET", "/v1/books?no_such=1", "400 REQUEST_MALFORMED no_such: is not a known query parameter"],
    ["GET", "/v1/books?labels=1", "400 REQUEST_MALFORMED labels: is not a known query parameter"],
    ["GET", "/v1/books?shelf=1", "400 REQUEST_MALFORMED shelf: is not a known query parameter"],
    ["GET", "/v1/books?shelves.id=1", "400 REQUEST_MALFORMED shelves.id: is not a known query parameter"],
    ["GET", "/v1/books?__proto__=1", "400 REQUEST_MALFORMED __proto__: is not a known query parameter"],
    ["GET", "/v1/books?query=a&query=b", "400 REQUEST_MALFORMED query: is given more than once"],
    ["GET", "/v1/books?maxAge=1s&max_age=1s", "400 REQUEST_MALFORMED max_age: is given more than once"],
    [
      "GET",
      "/v1/books?town=a&postcode=1",
      "400 REQUEST_MALFORMED postcode: cannot be given together with town",
    ],
    ["GET", "/v1/books?years=1&years=x", "400 REQUEST_MALFORMED years: must be an integer"],
    ["GET", "/v1/books?strict=1", "400 REQUEST_MALFORMED strict: must be true or false"],
    [
      "GET",
      "/v1/books?from=yesterday",
      "400 REQUEST_MALFORMED from: must be an RFC 3339 time, such as 2019-10-01T00:00:00.000Z",
    ],
    ["GET", "/v1/books?query=%zz", "400 REQUEST_MALFORMED The query has a malformed percent-encoding."],
    ["GET", "/v1/books/7?book_id=8", "400 REQUEST_MALFORMED book_id: is not a known query parameter"],
    ["GET", "/v1/books?consistency=strong", "400 REQUEST_MALFORMED consistency: must be one of eventual"],
    ["GET", "/v1/books/%ff", "400 REQUEST_MALFORMED The path has a malformed percent-encoding."],
    ["GET", "/v1/none", "404 ROUTE_NOT_FOUND There is no such route."],
    ["POST", "/v1/books/7:archive?reason=x", "400 REQUEST_MALFORMED reason: is not a known query parameter"],
    ["POST", "/v1/books?book.title=x", "400 REQUEST_MALFORMED book.title: is not a known query parameter"],
  ])("%s %s", async (method, url, expected) => {
    expect(await refusal(method, url)).toBe(expected);
  });

  test.each([
    ['{"title":3}', "400 REQUEST_MALFORMED title: must be a string"],
    ['{"no":1}', "400 REQUEST_MALFORMED no: is not a known field"],
    ["[]", "400 REQUEST_MALFORMED The body must be an object."],
    ["null", "400 REQUEST_MALFORMED The body must be an object."],
    ["{", "400 REQUEST_MALFORMED The body is not valid JSON (at character 1)."],
    [" ", "400 REQUEST_MALFORMED The body is not valid JSON."],
  ])("POST /v1/books %s", async (body, expected) => {
    expect(await refusal("POST", "/v1/books", body)).toBe(expected);
  });

  test("invalid UTF-8, and a byte order mark that is no error", async () => {
    expect(await refusal("POST", "/v1/books", new Uint8Array([0x22, 0xff, 0x22]))).toBe(
      "400 REQUEST_MALFORMED The body is not valid UTF-8.",
    );
    expect(await bound("POST", "/v1/books", '\ufeff{"title":"t"}')).toMatchObject({ book: { title: "t" } });
  });

  test("a body where the method takes none", async () => {
    expect(await refusal("DELETE", "/v1/books/7", "{}")).toBe(
      "400 REQUEST_MALFORMED This method takes no body.",
    );
  });

  test.each([
    "text/plain",
    "application/jsonp",
    "application/json; charset=latin1",
    "application/x-www-form-urlencoded",
  ])("%s is 415", async (type) => {
    expect(await refusal("POST", "/v1/books", "{}", { "content-type": type })).toMatch(
      /^415 MEDIA_TYPE_UNSUPPORTED/,
    );
  });

  test("a header that no transport carries", async () => {
    const headers = { "content-type": "application/json", authorization: "Bearer é" };
    expect(await refusal("POST", "/v1/books", "{}", headers)).toBe(
      "400 REQUEST_MALFORMED authorization: must be visible ASCII characters",
    );
  });

  test.each([
    "application/x-www-form-urlencoded",
    "Application/X-WWW-Form-URLEncoded; charset=UTF-8",
    "text/plain;charset=UTF-8",
    "application/json",
    "",
    undefined,
  ])("a method that takes any media type reads JSON labeled %s", async (type) => {
    const headers: Record<string, string> = type === undefined ? {} : { "content-type": type };
    expect(await bound("POST", "/v1/loans", '{"userId":"ada"}', headers)).toMatchObject({ reader: "ada" });
    expect(await refusal("POST", "/v1/loans", "userId=ada", headers)).toMatch(/^400 REQUEST_MALFORMED/);
  });

  test.each(["image/png", "multipart/form-data", "application/xml", "text/plainer"])(
    "%s is 415 even there",
    async (type) => {
      expect(await refusal("POST", "/v1/loans", "{}", { "content-type": type })).toMatch(/^415/);
    },
  );

  test("a method's own limit of the body is to the byte", async () => {
    const body = (bytes: number) => `{"user_id":"${"x".repeat(bytes - '{"user_id":""}'.length)}"}`;
    expect(await bound("POST", "/v1/loans", body(64))).toMatchObject({ userId: "x".repeat(50) });
    expect(await refusal("POST", "/v1/loans", body(65))).toBe(
      "413 TOO_LARGE A body is at most 64 bytes here.",
    );
    expect(await bound("POST", "/v1/books", `{"title":"${"x".repeat(65)}"}`)).toBeDefined();
  });

  test("no content type with a body is 415", async () => {
    expect(await refusal("POST", "/v1/books", "{}", {})).toMatch(/^415/);
  });

  test.each(["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf8"'])(
    "%s is JSON",
    async (type) => {
      expect(await bound("POST", "/v1/books", '{"title":"t"}', { "content-type": type })).toBeDefined();
    },
  );
});

describe("methods", () => {
  test("another method of the path is 405 with Allow", async () => {
    const response = await send("PUT", "/v1/books/7");
    expect(response.status).toBe(405);
    expect(response.headers.allow).toBe("DELETE, GET, HEAD, OPTIONS, PATCH, PURGE");
    expect(response.json()).toMatchObject({ code: "unimplemented", reason: "METHOD_NOT_ALLOWED" });
  });

  test("OPTIONS is 204 with Allow, on a path that exists", async () => {
    const response = await send("OPTIONS", "/api/books");
    expect(response).toMatchObject({
      status: 204,
      headers: { allow: "GET, HEAD, OPTIONS, POST" },
      body: undefined,
    });
    expect((await send("OPTIONS", "/v1/none")).status).toBe(404);
  });

  test("HEAD is GET without its body", async () => {
    caller.rendered = bookResponse({ id: "b", title: "é" });
    const get = await send("GET", "/v1/books/7");
    const head = await send("HEAD", "/v1/books/7");
    expect(head.body).toBeUndefined();
    expect(head.headers).toEqual({
      ...get.headers,
      "content-length": String(Buffer.byteLength(String(get.body))),
    });
    expect((await send("HEAD", "/v1/none")).body).toBeUndefined();
  });
});

describe("responses", () => {
  test("a field of the response as the body, with the method's status", async () => {
    caller.rendered = bookResponse({ id: "b", title: "t", extra: '{"n":1.50}' });
    const response = await send("POST", "/v1/books", "{}");
    expect(response).toMatchObject({ status: 201, headers: { "content-type": "application/json" } });
    expect(response.body).toBe('{"id":"b","title":"t","sub_title":null,"pages":null,"extra":{"n":1.50}}');
    expect(response.route).toMatchObject({ template: "/v1/books", method: { name: "CreateBook" } });
  });

  test("an unset field of the response is null", async () => {
    caller.rendered = () => ({ message: create(message("GetBookResponse")) });
    expect((await send("GET", "/v1/books/7")).body).toBe("null");
  });

  test("an empty message is 204", async () => {
    caller.rendered = () => ({ message: create(message("DeleteBookResponse")) });
    expect(await send("DELETE", "/v1/books/7")).toMatchObject({ status: 204, body: undefined, headers: {} });
  });

  test("metadata may set another success status and shown headers, nothing else", async () => {
    const rendered = bookResponse({ id: "b" });
    const withMetadata = (headers: Record<string, string>) => () => ({ ...rendered(), headers });
    caller.rendered = withMetadata({
      "muster-http-status": "206",
      "idempotency-replayed": "true",
      secret: "s",
    });
    const response = await send("GET", "/v1/books/7");
    expect(response.status).toBe(206);
    expect(response.headers).toEqual({ "content-type": "application/json", "idempotency-replayed": "true" });
    caller.rendered = withMetadata({ "muster-http-status": "500" });
    expect((await send("GET", "/v1/books/7")).status).toBe(200);
    caller.rendered = withMetadata({ "muster-http-status": "204" });
    expect((await send("GET", "/v1/books/7")).body).toBeUndefined();
  });
});

describe("JSON names of a field's own", () => {
  test("two fields may share their words", async () => {
    const request = await bound("POST", "/v1/loans", '{"user_id":"a","userId":"b","unknown":[1]}');
    expect(request).toMatchObject({ userId: "a", reader: "b" });
    expect(await bound("POST", "/v1/loans", '{"reader":"c"}')).toMatchObject({ reader: "c" });
  });

  test("errors call the field as clients do", async () => {
    expect(await refusal("POST", "/v1/loans", '{"userId":5}')).toMatch(/ userId: must be a string$/);
    expect(await refusal("POST", "/v1/loans", '{"user_id":5}')).toMatch(/ user_id: must be a string$/);
    expect(await refusal("POST", "/v1/loans", '{"userId":"b","reader":"b"}')).toMatch(
      / userId: is given twice, as userId and reader$/,
    );
  });

  test("a response of one form omits the others", async () => {
    const shown = async (response: Fields) => {
      caller.rendered = () => ({ message: create(message("TrackBookResponse"), { response }) });
      return (await send("POST", "/v1/loans", "{}")).body;
    };
    expect(await shown({ case: "eventId", value: "e" })).toBe('{"event_id":"e"}');
    expect(await shown({ case: "success", value: true })).toBe('{"success":true}');
    expect(await shown({ case: undefined })).toBe("{}");
  });
});

describe("google.api.HttpBody", () => {
  const csv = new TextEncoder().encode("a;b\n");

  test("as a response", async () => {
    caller.rendered = () => ({ message: create(registryHttpBody(), { contentType: "text/csv", data: csv }) });
    const response = await send("GET", "/v1/files/x.csv");
    expect(response).toMatchObject({ status: 200, headers: { "content-type": "text/csv" }, body: csv });
  });

  test("as a field both ways", async () => {
    caller.rendered = () => ({
      message: create(message("PutFileResponse"), { content: create(registryHttpBody(), { data: csv }) }),
    });
    const response = await send("PUT", "/v1/files/a/b", csv, { "content-type": "text/csv" });
    expect(caller.request).toMatchObject({
      name: "files/a/b",
      content: { contentType: "text/csv", data: csv },
    });
    expect(response).toMatchObject({ headers: { "content-type": "application/octet-stream" }, body: csv });
  });

  test("as the whole request", async () => {
    caller.rendered = bookResponse({ id: "b" });
    await send("POST", "/v1/raw", csv, { "content-type": "text/csv" });
    expect(caller.request).toMatchObject({ contentType: "text/csv", data: csv });
  });

  function registryHttpBody() {
    const field = message("PutFileRequest").field.content;
    if (field?.message === undefined) throw new Error("content is no message");
    return field.message;
  }
});

describe("errors", () => {
  const failing = (error: unknown) => () => {
    throw error;
  };

  test.each<[string, string, unknown]>([
    ["several items", "password,totp", ["password", "totp"]],
    ["one item", "password", ["password"]],
    ["no item", "", []],
  ])("a list of details with %s is an array", async (_, methods, rendered) => {
    caller.rendered = failing(new AppError("STEP_UP_REQUIRED", { details: { methods, other: "a,b" } }));
    const response = await send("POST", "/v1/books", "{}");
    expect(response.json()).toMatchObject({ details: { methods: rendered, other: "a,b" } });
  });

  test("the envelope, with the client's own paths and Retry-After rounded up", async () => {
    caller.rendered = failing(
      new AppError("FIELD_INVALID", {
        message: "book.title: is too long",
        fields: [
          { field: "book.title", message: "is too long" },
          { field: "dry_run", message: "no" },
        ],
        details: { limit: "5" },
        retryAfterMs: 1200,
      }),
    );
    const response = await send("POST", "/v1/books", "{}");
    expect(response.status).toBe(400);
    expect(response.headers).toEqual({
      "content-type": "application/json",
      "content-language": "en",
      vary: "accept-language",
      "retry-after": "2",
    });
    expect(response.json()).toEqual({
      code: "invalid_argument",
      reason: "FIELD_INVALID",
      message: "title: is too long",
      fields: [
        { field: "title", message: "is too long" },
        { field: "dry_run", message: "no" },
      ],
      details: { limit: "5" },
      request_id: "request-1",
    });
    expect(response.error?.reason).toBe("FIELD_INVALID");
  });

  test.each([
    ["de", "de"],
    ["DE-at", "de"],
    ["de-AT, en;q=0.5", "de"],
    ["en;q=0.2, fr;q=0.8", "fr"],
    ["it, es;q=0.1", "es"],
    ["de;q=0, fr", "fr"],
    ["*, en;q=0", "de"],
    ["*", "en"],
    ["en-GB, de;q=0.9", "en"],
    ["de;q=0", "en"],
    ["it", "en"],
    ["", "en"],
    ["de;q=much", "en"],
    ["de_DE", "en"],
    [';;"de\\,=q', "en"],
    [`${"x,".repeat(200)}de`, "en"],
  ] as const)("Accept-Language: %s gives %s", async (acceptLanguage, language) => {
    const fields = [{ field: "book.title", message: "is too long" }];
    caller.rendered = failing(new AppError("FIELD_INVALID", { message: "book.title: is too long", fields }));
    const headers = { "content-type": "application/json", "accept-language": acceptLanguage };
    const response = await send("POST", "/v1/books", "{}", headers);
    expect(response.headers).toMatchObject({ "content-language": language, vary: "accept-language" });
    expect(response.json()).toMatchObject({
      reason: "FIELD_INVALID",
      message: language === "en" ? "title: is too long" : reasonMessage("FIELD_INVALID", language),
      fields: [{ field: "title", message: "is too long" }],
    });
  });

  test("errors without a method, and those of HEAD, are in the client's language too", async () => {
    const headers = { "accept-language": "es" };
    const none = await send("GET", "/v1/none", undefined, headers);
    expect(none.json()).toMatchObject({ message: "Esa ruta no existe." });
    const refused = await send("PUT", "/v1/books/7", undefined, headers);
    expect(refused.json()).toMatchObject({ message: "La ruta no acepta este método." });
    const head = await send("HEAD", "/v1/none", undefined, headers);
    expect(head.headers).toMatchObject({
      "content-language": "es",
      "content-length": String(Buffer.byteLength(String(none.body))),
    });
  });

  test("a saved error is rendered in the language of each call, the same for the same language", async () => {
    const kept = { message: "profile p is gone", requestId: "first", replayed: true };
    caller.rendered = failing(new AppError("PROFILE_NOT_FOUND", kept));
    const replayedIn = async (language: string) =>
      (await send("GET", "/v1/books/7", undefined, { "accept-language": language })).body;
    expect(await replayedIn("fr")).toBe(await replayedIn("fr"));
    expect(await replayedIn("fr")).toContain('"message":"Ce profil n\'existe pas."');
    expect(await replayedIn("en")).toContain('"message":"profile p is gone"');
  });

  test("a replay shows the request id of the first response", async () => {
    caller.rendered = failing(new AppError("PROFILE_NOT_FOUND", { requestId: "first" }));
    expect((await send("GET", "/v1/books/7")).json()).toMatchObject({ request_id: "first" });
  });

  test("a defect reveals no details", async () => {
    caller.rendered = failing(new TypeError("secret detail"));
    const response = await send("GET", "/v1/books/7");
    expect(response.status).toBe(500);
    expect(String(response.body)).not.toContain("secret");
    expect(response.error?.cause).toBeInstanceOf(TypeError);
  });
});
