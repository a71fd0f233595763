// Tests the headers of downloads, and which bytes a range means.
import { AppError } from "@muster/errors";
import { describe, expect, test } from "vitest";
import { beginDownload, type Download } from "./begin-download.ts";
import { parseRange } from "./byte-range.ts";

const ZIP: Download = { contentType: "application/zip", size: 10, etag: "e" };

function begin(download: Download, request: Record<string, string> = {}) {
  const requestHeaders = new Map(
    Object.entries(request).map(([name, value]) => [`muster-http-${name}`, value]),
  );
  const responseHeaders = new Map<string, string>();
  const part = beginDownload({ requestHeaders, responseHeaders }, download);
  const headers = [...responseHeaders].map(([name, value]) => [name.replace("muster-http-", ""), value]);
  return { part, headers: Object.fromEntries(headers) };
}

test("a whole body of known size", () => {
  expect(begin(ZIP, { method: "GET" })).toEqual({
    part: { start: 0, end: 10, isHead: false, isWhole: true, isConditional: false },
    headers: {
      "content-type": "application/zip",
      "content-length": "10",
      "accept-ranges": "bytes",
      etag: '"e"',
    },
  });
});

test("a body of unknown size has no ranges", () => {
  expect(begin({ contentType: "application/json" }, { range: "bytes=1-2" })).toEqual({
    part: { start: 0, end: Number.POSITIVE_INFINITY, isHead: false, isWhole: true, isConditional: false },
    headers: { "content-type": "application/json", "accept-ranges": "none" },
  });
});

test("a range", () => {
  expect(begin(ZIP, { range: "bytes=2-", "if-range": '"e"' })).toEqual({
    part: { start: 2, end: 10, isHead: false, isWhole: false, isConditional: true },
    headers: {
      "content-type": "application/zip",
      "content-length": "8",
      "accept-ranges": "bytes",
      etag: '"e"',
      status: "206",
      "content-range": "bytes 2-9/10",
    },
  });
});

test.each(['"x"', 'W/"e"', "e", "Wed, 21 Oct 2026 07:28:00 GMT"])(
  "with the stale If-Range %s the body is whole, whatever the range",
  (condition) => {
    for (const range of ["bytes=2-", "bytes=99-"]) {
      const { part, headers } = begin(ZIP, { range, "if-range": condition });
      expect(part).toMatchObject({ isWhole: true, isConditional: false, start: 0, end: 10 });
      expect(headers).not.toHaveProperty("status");
    }
  },
);

test("an unsatisfiable range is refused with the size", () => {
  expect(() => begin(ZIP, { range: "bytes=10-" })).toThrow(AppError);
  try {
    begin(ZIP, { range: "bytes=10-" });
  } catch (error) {
    expect(error).toMatchObject({ reason: "RANGE_NOT_SATISFIABLE", details: { size: "10" } });
  }
});

test("HEAD is known to the handler", () => {
  expect(begin(ZIP, { method: "HEAD" }).part.isHead).toBe(true);
});

test.each([
  ["export.zip", 'attachment; filename="export.zip"'],
  [
    'Müller\'s "a".zip',
    `attachment; filename="M_ller_s _a_.zip"; filename*=UTF-8''M%C3%BCller%27s%20%22a%22.zip`,
  ],
  ["a\r\nb", `attachment; filename="a__b"; filename*=UTF-8''a%0D%0Ab`],
  ["\ud800", `attachment; filename="_"; filename*=UTF-8''%EF%BF%BD`],
])("the file name %j", (fileName, disposition) => {
  expect(begin({ ...ZIP, fileName }).headers["content-disposition"]).toBe(disposition);
});

describe("ranges of ten bytes", () => {
  test.each([
    ["bytes=0-0", [0, 1]],
    ["bytes=0-9", [0, 10]],
    ["bytes=3-99", [3, 10]],
    ["bytes=9-", [9, 10]],
    ["bytes=-1", [9, 10]],
    ["bytes=-99", [0, 10]],
    ["Bytes= 4-5 ", [4, 6]],
  ])("%s", (header, [start, end]) => {
    expect(parseRange(header, 10)).toEqual({ start, end });
  });

  test.each(["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=999999999999999-"])(
    "%s is unsatisfiable",
    (header) => {
      expect(parseRange(header, 10)).toBe("unsatisfiable");
    },
  );

  test.each([
    undefined,
    "",
    "bytes",
    "bytes=",
    "bytes=-",
    "bytes=5-4",
    "bytes=a-b",
    "bytes=0-1,3-4",
    "lines=0-1",
    "bytes=0-1;x",
    "bytes=1.5-2",
    "bytes=+1-2",
    "bytes=12345678901234567-",
  ])("%s is ignored", (header) => {
    expect(parseRange(header, 10)).toBeUndefined();
  });

  test("an empty body has no satisfiable range", () => {
    expect(parseRange("bytes=0-", 0)).toBe("unsatisfiable");
    expect(parseRange("bytes=-5", 0)).toBe("unsatisfiable");
  });
});
