// Sends hostile and mistaken input to the tracking routes, which accept more than others: unknown fields, and
// JSON under other media types. All other input is refused with the envelope of the contract and has no
// effect.
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { RestClient, type RestResponse } from "../harness/rest.ts";

const long = (length: number): string => "x".repeat(length);
const deep = `${'{"a":'.repeat(200)}1${"}".repeat(200)}`;
const BATCH_BYTES_MAX = 500_000;

/** The body (text as it is), the expected status, and the field named by the error. */
type Case = readonly [title: string, body: unknown, status: number, field?: string];

const anyBody: readonly Case[] = [
  ["broken JSON", '{"userId":', 400],
  ["a form", "userId=bad&event=x", 400],
  ["a list", "[]", 400],
  ["a number", "7", 400],
  ["nothing", "", 400],
  ["too deep", deep, 400],
  ["too deep in what is ignored", `{"context":${"[".repeat(300_000)}${"]".repeat(300_000)}}`, 413],
  ["501 kB", { context: long(501_000) }, 413],
];

/** Broken variants of a call, sent alone or in a batch. */
function brokenCalls(good: Readonly<Record<string, unknown>>): readonly Case[] {
  return [
    ["nobody", { ...good, userId: undefined }, 400, "user_id"],
    ["empty ids", { ...good, userId: "", anonymousId: "" }, 400, "user_id"],
    ["null ids", { ...good, userId: null, anonymousId: null }, 400, "user_id"],
    ["a number as user", { ...good, userId: 13 }, 400, "user_id"],
    ["an object as visitor", { ...good, anonymousId: {} }, 400, "anonymous_id"],
    ["a long user", { ...good, userId: long(256) }, 400, "user_id"],
    ["a long visitor", { ...good, anonymousId: long(256) }, 400, "anonymous_id"],
    ["a long message id", { ...good, messageId: long(256) }, 400, "message_id"],
    ["a number as message id", { ...good, messageId: 1 }, 400, "message_id"],
    ["a time that is none", { ...good, timestamp: "2025-02-30T00:00:00Z" }, 400, "timestamp"],
    ["a time that is a number", { ...good, timestamp: 1_700_000_000_000 }, 400, "timestamp"],
    ["a time of sending that is none", { ...good, sentAt: "then" }, 400, "sent_at"],
    ["properties that are a list", { ...good, properties: [] }, 400, "properties"],
    ["properties that are text", { ...good, properties: "{}" }, 400, "properties"],
    [
      "half a character",
      `${JSON.stringify(good).slice(0, -1)},"properties":{"a":"\\ud800"}}`,
      400,
      "properties",
    ],
    [
      "a number without end",
      `${JSON.stringify(good).slice(0, -1)},"properties":{"a":1e999}}`,
      400,
      "properties",
    ],
    ["properties too deep", `${JSON.stringify(good).slice(0, -1)},"properties":${deep}}`, 400, "properties"],
    ["200 KiB", { ...good, properties: { a: long(200_000) } }, 413],
  ];
}

const user = { userId: "bad" };
const singles: Readonly<Record<string, readonly Case[]>> = {
  "POST /v1/identify": [
    ...brokenCalls(user),
    ["traits that are a list", { ...user, traits: [] }, 400, "traits"],
    ["traits of 70 kB", { ...user, traits: { a: long(70_000) } }, 400, "traits"],
    ["a placeholder for the user", { userId: "Undefined", anonymousId: "bad" }, 400, "user_id"],
    ["a placeholder for the visitor", { ...user, anonymousId: "null" }, 400, "anonymous_id"],
  ],
  "POST /v1/track": [
    ...brokenCalls({ ...user, event: "x" }),
    ["no event", user, 400, "event"],
    ["an empty event", { ...user, event: "" }, 400, "event"],
    ["a long event", { ...user, event: long(256) }, 400, "event"],
    ["an event that is a number", { ...user, event: 1 }, 400, "event"],
  ],
  "POST /v1/page": [
    ...brokenCalls(user).filter(
      ([, , , field]) => !["user_id", "anonymous_id", "message_id"].includes(field ?? ""),
    ),
    ["nobody", { name: "Home" }, 400, "user_id"],
    ["a number as user", { user_id: 13, name: "Home" }, 400, "user_id"],
    ["a number as user of an SDK", { userId: 13, name: "Home" }, 400, "userId"],
    ["an empty user", { user_id: "", name: "Home" }, 400, "user_id"],
    ["a long user", { user_id: long(256), name: "Home" }, 400, "user_id"],
    ["a long user of an SDK", { userId: long(256) }, 400, "user_id"],
    ["no name", { user_id: "bad" }, 400, "name"],
    ["a null name", { user_id: "bad", name: null }, 400, "name"],
    ["a long name", { user_id: "bad", name: long(1025) }, 400, "name"],
    [
      "a time without a zone",
      { user_id: "bad", name: "Home", timestamp: "2012-12-02T00:30:12" },
      400,
      "timestamp",
    ],
  ],
  "POST /v1/screen": [...brokenCalls(user), ["a name that is a list", { ...user, name: [] }, 400, "name"]],
  "POST /v1/group": [
    ...brokenCalls({ ...user, groupId: "g" }),
    ["no group", user, 400, "group_id"],
    ["a long group", { ...user, groupId: long(256) }, 400, "group_id"],
  ],
  "POST /v1/alias": [
    ...brokenCalls({ ...user, previousId: "p" }),
    ["no previous id", user, 400, "previous_id"],
    ["a placeholder", { ...user, previousId: "[object Object]" }, 400, "previous_id"],
    ["a visitor as the user", { anonymousId: "a", previousId: "p" }, 400, "user_id"],
  ],
};

const batches: readonly Case[] = [
  ["no batch", {}, 400, "batch"],
  ["an empty batch", { batch: [] }, 400, "batch"],
  ["a batch that is no list", { batch: {} }, 400, "batch"],
  ["calls that are none", { batch: [1, null, "x"] }, 400, "batch[0]"],
  ["5,001 calls", { batch: new Array(5001).fill({ type: "page", userId: "bad" }) }, 400, "batch"],
  ["a flood of calls that are none", { batch: new Array(200_000).fill(1) }, 400],
  ["a kind that is none", { batch: [{ type: "wish", userId: "bad" }] }, 400, "batch[0].type"],
  ["no kind", { batch: [{ userId: "bad" }] }, 400, "batch[0].type"],
  ["a time of sending that is none", { sentAt: 7, batch: [{ type: "page", userId: "bad" }] }, 400, "sent_at"],
  [
    "a call of 200 KiB",
    { batch: [{ type: "track", userId: "bad", event: "x", properties: { a: long(200_000) } }] },
    400,
    "batch[0]",
  ],
  [
    "one thing wrong in each",
    { batch: [{ type: "track", userId: "bad" }, { type: "group", userId: 5 }, { type: "identify" }] },
    400,
    "batch[1].user_id",
  ],
];

const tables: Readonly<Record<string, readonly Case[]>> = {
  ...singles,
  "POST /v1/batch": batches,
  "POST /v1/import": batches.filter(([, , , field]) => field !== "sent_at"),
};

describe("bad input of the tracking routes", () => {
  let installation: Installation;
  let rest: RestClient;
  const profiles = () => rest.all("/v1/profiles", "profiles");

  beforeAll(async () => {
    installation = await startInstallation("embedded");
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  function expectEnvelope(response: RestResponse, status: number, field?: string): void {
    expect(response.status, response.text.slice(0, 500)).toBe(status);
    expect(Object.keys(response.body)).toEqual([
      "code",
      "reason",
      "message",
      "fields",
      "details",
      "request_id",
    ]);
    expect(response.text).not.toMatch(/at .*\.ts:|select |insert |node_modules|muster\.events\.v1/i);
    if (field !== undefined)
      expect(response.body.fields.map((named: { field: string }) => named.field)).toContain(field);
  }

  describe.each(Object.entries(tables))("%s", (route, cases) => {
    const [method = "", path = ""] = route.split(" ");

    for (const [title, body, status, field] of [...anyBody, ...cases]) {
      test(title, async () => {
        expectEnvelope(await rest.request(method, path, body), status, field);
      });
    }

    test("labels of something else, a made-up key, a wrong method", async () => {
      for (const type of ["image/png", "multipart/form-data; boundary=x"]) {
        expectEnvelope(await rest.post(path, {}, { "content-type": type }), 415);
      }
      expectEnvelope(await rest.post(path, {}, { authorization: "Bearer mk_wrong" }), 401);
      const wrong = await rest.request("PUT", path, {});
      expectEnvelope(wrong, 405);
      expect(wrong.headers.get("allow")).toContain("POST");
    });
  });

  test("after all of it, nobody is there", async () => {
    expect(await profiles()).toEqual([]);
  });

  test("a batch is at most 500 kB, to the byte and after inflation", async () => {
    const call = { type: "track", userId: "fits", event: "x" };
    const frame = JSON.stringify({ batch: [call], context: "" }).length;
    const sized = (bytes: number): string => JSON.stringify({ batch: [call], context: long(bytes - frame) });
    const basic = `Basic ${Buffer.from(`${installation.apiKey}:`).toString("base64")}`;
    const zipped = (bytes: number): Promise<number> =>
      fetch(`${installation.url}/v1/batch`, {
        method: "POST",
        // The media type of a public client.
        headers: {
          authorization: basic,
          "content-type": "application/x-www-form-urlencoded",
          "content-encoding": "gzip",
        },
        body: gzipSync(sized(bytes)),
      }).then(({ status }) => status);
    expect((await rest.post("/v1/batch", sized(BATCH_BYTES_MAX))).status).toBe(200);
    expect(await zipped(BATCH_BYTES_MAX)).toBe(200);
    expectEnvelope(await rest.post("/v1/batch", sized(BATCH_BYTES_MAX + 1)), 413);
    expect(await zipped(BATCH_BYTES_MAX + 1)).toBe(413);
    expect(await zipped(64 * 1024 * 1024)).toBe(413);
  });

  test("both forms of a page, under both paths, with exact responses", async () => {
    for (const path of ["/v1/page", "/api/page"]) {
      const short = { user_id: "019mr8mf4r", name: "Pricing Page", timestamp: "2012-12-02T00:30:12.984Z" };
      const recorded = await rest.post(path, { ...short, extra: [1] });
      expect([recorded.status, recorded.text]).toEqual([
        201,
        expect.stringMatching(/^\{"event_id":"[0-9a-f-]{36}"\}$/),
      ]);
      for (const sent of [
        { userId: "u" },
        { anonymousId: "a" },
        { user_id: "u", userId: "v" },
        { user_id: "u", anonymousId: "a" },
      ]) {
        const tracked = await rest.post(path, { name: "Home", ...sent });
        expect([tracked.status, tracked.text]).toEqual([200, '{"success":true}']);
      }
      expectEnvelope(await rest.post(path, { user_id: "u", name: "Home", messageId: "m" }), 400, "user_id");
    }
  });

  test("what no SDK needs of us is taken and not kept, under every label that they use", async () => {
    const call = {
      userId: "kept",
      event: "x",
      context: { ip: "203.0.113.9" },
      integrations: { All: true },
      writeKey: 1,
    };
    for (const type of [
      "application/json",
      "text/plain;charset=UTF-8",
      "application/x-www-form-urlencoded",
    ]) {
      const response = await rest.post("/v1/track?r=1", call, { "content-type": type });
      expect([response.status, response.text]).toEqual([200, '{"success":true}']);
    }
    const { body } = await rest.get("/v1/profiles?user_id=kept");
    const shown = await rest.get(`/v1/profiles/${body.profiles[0].id}/events`);
    expect(shown.body.events).toHaveLength(3);
    expect(shown.text).not.toContain("203.0.113.9");
  });

  test("every tracking route has its table", async () => {
    const golden = await readFile(new URL("../golden/routes.txt", import.meta.url), "utf8");
    const routes = golden.split("\n").filter((line) => line.includes(".TrackingService."));
    const open = routes
      .map((line) => line.split(" ").slice(0, 2).join(" "))
      .filter((route) => route.includes("/v1/"));
    expect(open.sort()).toEqual(Object.keys(tables).sort());
  });
});
