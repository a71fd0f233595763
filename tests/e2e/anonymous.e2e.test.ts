// The routes that local callers without credentials may use in the embedded default: which these are, and that
// nobody else may, from wherever a request could come that is not a program on this machine.
import { request as httpRequest } from "node:http";
import { getOption } from "@bufbuild/protobuf";
import { http } from "@muster/contracts/google/api/annotations_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allServices, policyOf } from "../coverage/all-services.ts";
import { type Installation, startInstallation } from "../harness/installation.ts";

/** Marked T in the contract. */
const OPEN_ROUTES = [
  "DELETE /v1/user/{user_id}",
  "GET /v1/user/{user_id}",
  "GET /v1/users/events",
  "POST /api/events",
  "POST /v1/alias",
  "POST /v1/batch",
  "POST /v1/group",
  "POST /v1/identify",
  "POST /v1/import",
  "POST /v1/page",
  "POST /v1/screen",
  "POST /v1/track",
  "POST /v1/users/events",
];

const methods = (await allServices()).flatMap((service) => service.methods);
const open = methods.filter((method) => policyOf(method).anonymousDemo).map(routeOf);

function routeOf(method: (typeof methods)[number]): string {
  const { pattern } = getOption(method, http);
  return `${pattern.case?.toUpperCase()} ${pattern.value}`;
}

/** The status of a request, every header of which is ours to choose. */
function statusOf(url: string, route: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const [method = "", path = ""] = route.split(" ");
  const body = method === "POST" ? "{}" : undefined;
  const { hostname, port, host } = new URL(url);
  const label = body === undefined ? {} : { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        hostname,
        port,
        method,
        path: path.replace("{user_id}", "nobody"),
        headers: { host, ...label, ...headers },
      },
      (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

const unauthorized: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["a proxied request", { "x-forwarded-for": "203.0.113.7" }],
  ["a proxied request with an empty header", { "x-forwarded-host": "" }],
  ["a proxied request as the standard has it", { forwarded: "for=203.0.113.7" }],
  ["a page of another site", { origin: "https://evil.example" }],
  ["a page without an origin to show", { origin: "null" }],
  ["what a browser calls cross-site", { "sec-fetch-site": "cross-site" }],
  ["a name rebound to this machine", { host: "evil.example" }],
  ["a made-up key", { authorization: "Bearer mk_nobody" }],
];

test("are those of the contract", () => {
  expect(open.sort()).toEqual(OPEN_ROUTES);
});

describe("in embedded mode", () => {
  let installation: Installation;
  beforeAll(async () => {
    installation = await startInstallation("embedded");
  });
  afterAll(async () => installation?.stop());

  test.each(open)("%s takes a program of this machine and no stranger", async (route) => {
    expect(await statusOf(installation.url, route, {})).not.toBe(401);
    for (const [title, headers] of unauthorized) {
      expect(await statusOf(installation.url, route, headers), title).toBe(401);
    }
  });

  test("others take nobody without credentials", async () => {
    for (const route of ["GET /v1/profiles", "POST /v1/events", "POST /v1/events:batch"]) {
      expect(await statusOf(installation.url, route, {}), route).toBe(401);
    }
  });
});

describe("in production mode", () => {
  let installation: Installation;
  beforeAll(async () => {
    installation = await startInstallation("production");
  });
  afterAll(async () => installation?.stop());

  test.each(open)("%s takes nobody without credentials", async (route) => {
    expect(await statusOf(installation.url, route, {})).toBe(401);
  });
});
