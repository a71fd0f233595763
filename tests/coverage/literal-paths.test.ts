// Tests that a literal path wins over a variable on every route: another HTTP method is 405, and reaches no other route.
import { AppError } from "@muster/errors";
import { createTranscoder } from "@muster/service-gateway";
import { describe, expect, test } from "vitest";
import { allServices } from "./all-services.ts";

const services = await allServices();
const refuse = () => {
  throw new AppError("UNIMPLEMENTED");
};
const transcoder = createTranscoder(services, () => ({ unary: refuse, stream: refuse }));
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

type Template = (typeof transcoder.routes)[number]["template"];

/** A path that the template matches. */
function pathOf({ segments, verb }: Template): string {
  const texts = segments.map((segment) => (segment.kind === "literal" ? segment.text : "some-id"));
  return `/${texts.join("/")}${verb === "" ? "" : `:${verb}`}`;
}

/** The routes of each path, without the routes of other templates that match the path too. */
const byPath = Map.groupBy(transcoder.routes, ({ template }) => pathOf(template));

function send(method: string, path: string) {
  return transcoder.handle(
    { method, url: path, headers: new Map() },
    { requestId: "r", signal: new AbortController().signal },
  );
}

function allowOf(methods: ReadonlySet<string>): string {
  return [...methods, "OPTIONS", ...(methods.has("GET") ? ["HEAD"] : [])].sort().join(", ");
}

describe.each([...byPath])("%s", (path, routes) => {
  const methods = new Set(routes.map(({ verb }) => verb));

  test.each(METHODS)("%s reaches a route of this path, or is 405", async (method) => {
    const { status, headers, route } = await send(method, path);
    const isServed = methods.has(method) || (method === "HEAD" && methods.has("GET"));
    if (isServed) expect(routes.map(({ template }) => template.text)).toContain(route?.template);
    else expect([status, headers.allow, route]).toEqual([405, allowOf(methods), undefined]);
  });
});

test("there are literal paths that a variable of another route matches too", async () => {
  expect(byPath.has("/v1/users/some-id")).toBe(true);
  for (const prefix of ["/v1", "/api"]) {
    const { status, headers } = await send("DELETE", `${prefix}/users/events`);
    expect([status, headers.allow]).toEqual([405, "GET, HEAD, OPTIONS, POST"]);
  }
});
