// Reads and changes versioned resources with ETag, If-None-Match and If-Match.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

let installation: Installation;
let rest: RestClient;
beforeAll(async () => {
  installation = await startInstallation("embedded");
  rest = new RestClient(installation);
});
afterAll(async () => installation?.stop());

const RESOURCES: readonly [string, string, object, (body: { segment?: object }) => object][] = [
  [
    "segment",
    "/v1/segments",
    { name: "Shoe fans", event_name: "product.viewed", min_count: 3 },
    ({ segment }) => segment ?? {},
  ],
  [
    "alert rule",
    "/v1/alert-rules",
    { code: 7, name: "Large", kind: "threshold", event_name: "paid", property: "amount", threshold: "9" },
    (body) => body,
  ],
];

describe.each(RESOURCES)("one %s", (_, list, creation, resourceOf) => {
  let path: string;
  beforeAll(async () => {
    const created = await rest.post(list, creation);
    expect(created.status, created.text).toBe(201);
    path = `${list}/${created.body.id}`;
    // A new segment has its first backfill before it.
    await rest.get(path);
  });

  const get = (headers: Record<string, string> = {}) => rest.request("GET", path, undefined, headers);
  const rename = (name: string, headers: Record<string, string> = {}, more: object = {}) =>
    rest.request("PATCH", path, { name, ...more }, headers);
  const tagOf = async () => (await get()).headers.get("etag") ?? "";

  test("GET and HEAD have a tag, and 304 for who has it", async () => {
    let known = await get();
    // The state of a new segment changes until its backfill is done.
    for (let tag = ""; tag !== known.headers.get("etag"); known = await get())
      tag = known.headers.get("etag") ?? "";
    const tag = known.headers.get("etag") ?? "";
    expect(tag).toMatch(/^"1-[\w-]+"$/);
    expect(known.headers.get("cache-control")).toBe("private, no-cache");
    for (const method of ["GET", "HEAD"]) {
      const unchanged = await rest.request(method, path, undefined, { "if-none-match": `"x", ${tag}` });
      expect([unchanged.status, unchanged.text]).toEqual([304, ""]);
      expect(unchanged.headers.get("etag")).toBe(tag);
    }
    expect((await get({ "if-none-match": '"1"' })).status).toBe(200);
    expect((await rest.get(list)).headers.get("etag")).toBeNull();
  });

  test("If-Match refuses the second of two changes of one version", async () => {
    const tag = await tagOf();
    const renamed = await rename("first", { "if-match": tag });
    expect([renamed.status, resourceOf(renamed.body)]).toEqual([
      200,
      expect.objectContaining({ name: "first" }),
    ]);
    expect(renamed.headers.get("etag")).toMatch(/^"2-/);
    const stale = await rename("second", { "if-match": tag });
    expect([stale.status, stale.body.reason, stale.body.details]).toEqual([
      412,
      "ETAG_MISMATCH",
      { version: "2" },
    ]);
    expect((await get({ "if-none-match": tag })).status).toBe(200);
    expect((await rename("second", { "if-match": "*" })).status).toBe(200);
    expect((await rename("third")).status).toBe(200);
  });

  test("a stale version in the body is 409", async () => {
    const { version } = (await get()).body;
    expect((await rename("fourth", {}, { version })).status).toBe(200);
    expect((await rename("fifth", {}, { version })).status).toBe(409);
    expect((await rest.request("PATCH", `${path}?if_match=1`, { name: "fifth" })).status).toBe(400);
  });
});

test("both names of a path have the same tag", async () => {
  const first = await rest.get("/v1/segments/abandoned-cart");
  expect(first.headers.get("etag")).toMatch(/^"1-/);
  expect((await rest.get("/api/segments/abandoned-cart")).headers.get("etag")).toBe(
    first.headers.get("etag"),
  );
});
