import { describe, expect, test } from "vitest";
import { message, registry, service } from "../../testdata/load.ts";
import { MessageCodecs } from "../json/message-codec.ts";
import { printRouteTable, RouteTable } from "./route-table.ts";

const codecs = new MessageCodecs(registry);
const table = new RouteTable([service("LibraryService")], codecs, { prefix: "/v1/", alias: "/api/" });

function find(method: string, path: string): string {
  const { result } = table.match(method, path);
  if (result.kind === "wrong_method") return `405 ${[...result.methods].sort().join(",")}`;
  return result.kind === "found" ? result.rule.method.name : "404";
}

describe("matching", () => {
  test.each([
    ["GET", "/v1/books/7", "GetBook"],
    ["GET", "/v1/books/latest", "GetLatestBook"],
    ["GET", "/v1/books/%6Catest", "GetLatestBook"],
    ["HEAD", "/v1/books/7", "GetBook"],
    ["GET", "/v1/shelves/s/books/7", "GetBook"],
    ["DELETE", "/v1/books/latest", "405 GET"],
    ["DELETE", "/v1/books/%6Catest", "405 GET"],
    ["DELETE", "/api/books/latest", "405 GET"],
    ["HEAD", "/v1/books/latest", "GetLatestBook"],
    ["POST", "/v1/books/7:archive", "ArchiveBook"],
    ["POST", "/v1/books/a:b:archive", "ArchiveBook"],
    ["GET", "/v1/books/7:archive", "405 POST"],
    ["GET", "/v1/books/7%3Aarchive", "GetBook"],
    ["GET", "/v1/books/7:nothing", "GetBook"],
    ["POST", "/v1/books/:archive", "404"],
    ["PURGE", "/v1/books/7", "PurgeBooks"],
    ["BREW", "/v1/anything/7", "AnyVerb"],
    ["PUT", "/v1/books/7", "405 DELETE,GET,PATCH,PURGE"],
    ["POST", "/v1/books/latest", "405 GET"],
    ["POST", "/v1/books/latest:archive", "ArchiveBook"],
    ["GET", "/v1/files", "GetFile"],
    ["GET", "/v1/files/a/b/c", "GetFile"],
    ["GET", "/v1/files/a//c", "404"],
    ["GET", "/v1/files/a/", "404"],
    ["PUT", "/v1/files/a/b", "PutFile"],
    ["PUT", "/v1/files/a", "405 GET"],
    ["GET", "/v1/books/", "404"],
    ["GET", "/v1/books//", "404"],
    ["GET", "/v1/shelves//books/7", "404"],
    ["GET", "//v1/books", "404"],
    ["GET", "/V1/books", "404"],
    ["GET", "/", "404"],
    ["GET", "*", "404"],
    ["GET", "/v1/internal", "404"],
    ["GET", "/api/books", "SearchBooks"],
    ["POST", "/api/books/7:archive", "ArchiveBook"],
    ["GET", "/api/books/7", "ApiOwn"],
    ["DELETE", "/api/books/7", "DeleteBook"],
    ["GET", "/api/tracked-books", "404"],
    ["GET", "/v1/tracked-books", "TrackBooks"],
    ["POST", "/v1/loans/", "TrackBook"],
    ["POST", "/api/loans/", "TrackBook"],
    ["POST", "/v1/loans/ada:end/", "TrackBook"],
    ["POST", "/v1/loans//", "404"],
    ["POST", "/v1/loans//ada:end/", "404"],
    ["GET", "/v1/loans/", "405 POST"],
    ["GET", "/v1/tracked-books/", "404"],
  ])("%s %s is %s", (method, path, expected) => {
    expect(find(method, path)).toBe(expected);
  });

  test.each(["/v1/books/%", "/v1/books/%zz", "/v1/books/%ff", "/v1/%c3%28/x", "/v1/x:%zz"])(
    "%s cannot be decoded",
    (path) => {
      expect(() => table.match("GET", path)).toThrow("percent-encoding");
    },
  );
});

describe("refused when built", () => {
  test.each([
    ["UnknownPathFieldService", "{missing} is no field of transcoder.test.v1.RefusedRequest"],
    ["RepeatedPathFieldService", "{ids} is repeated"],
    ["MapPathFieldService", "{labels} is repeated"],
    ["MessagePathFieldService", "{child} is a message"],
    ["UnknownBodyService", "body: missing is no field of transcoder.test.v1.RefusedRequest"],
    [
      "UnknownResponseBodyService",
      "response_body: missing is no field of transcoder.test.v1.RefusedResponse",
    ],
    ["BadTemplateService", 'path template "/v1/**/more": ** must be the last segment'],
    ["MessageStreamService", "a stream is a GET that returns google.api.HttpBody"],
    ["NotAMaskService", "mask_field: id is no google.protobuf.FieldMask"],
  ])("%s", (name, reason) => {
    expect(() => new RouteTable([service(name)], codecs)).toThrow(
      `transcoder.test.v1.${name}.Call: ${reason}`,
    );
  });

  test("two rules for the same requests, naming both", () => {
    expect(() => new RouteTable([service("AmbiguousService")], codecs)).toThrow(
      "transcoder.test.v1.AmbiguousService.Second (GET /v1/{id=x/*}) and " +
        "transcoder.test.v1.AmbiguousService.First (GET /v1/x/{id}) match the same requests",
    );
  });
});

test("the printed table contains all that a client can observe", () => {
  const lines = printRouteTable(table).split("\n");
  expect(lines).toContain(
    "GET /v1/books/{book_id} transcoder.test.v1.LibraryService.GetBook 200 books.read body=- response=book",
  );
  expect(lines).toContain(
    "POST /v1/books transcoder.test.v1.LibraryService.CreateBook 201 - body=book response=book",
  );
  expect(lines).toContain(
    "POST /v1/books/{book_id}:archive transcoder.test.v1.LibraryService.ArchiveBook 202 - body=* response=*",
  );
  expect(lines).toContain(
    "DELETE /v1/books/{book_id} transcoder.test.v1.LibraryService.DeleteBook 204 - body=- response=*",
  );
  expect(lines).toContain(
    "POST /v1/loans transcoder.test.v1.LibraryService.TrackBook 200 - body=* response=* ignore_unknown trailing_slash any_media_type body_bytes_max=64",
  );
  expect(lines.filter((line) => line !== "")).toHaveLength(table.routes.length);
});

test("types that contain themselves compile", () => {
  expect(codecs.hasRawJson(message("Everything"))).toBe(true);
  expect(codecs.hasRawJson(message("Shelf"))).toBe(false);
});
