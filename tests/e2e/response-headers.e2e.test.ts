// Calls every route of the HTTP port: none sets a cookie, and none but the pages of the contract is HTML.
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";

let muster: Installation;

beforeAll(async () => {
  muster = await startInstallation("embedded");
});
afterAll(() => muster.stop());

const NOBODY = "01890000-0000-7000-8000-000000000000";
/** Responses with HTML may only come from these paths. */
const PAGES = [/^\/$/, /^\/docs$/, /^\/m\//, /^\/dev\/mail/];
const FIXED = [
  "/version",
  "/livez",
  "/readyz",
  "/metrics",
  "/",
  "/docs",
  "/m/verify-email",
  "/dev/mail",
  "/nowhere",
];

interface Route {
  readonly verb: string;
  readonly path: string;
}

async function allRoutes(): Promise<Route[]> {
  const golden = await readFile(new URL("../golden/routes.txt", import.meta.url), "utf8");
  const rest = golden
    .trim()
    .split("\n")
    .map((line) => {
      const [verb = "", template = "", method = ""] = line.split(" ");
      return { verb, path: template.replace(/\{[^}]+\}/g, NOBODY), method };
    });
  const rpc = [...new Set(rest.map(({ method }) => method.replace(/\.(\w+)$/, "/$1")))];
  return [
    ...rest,
    ...rpc.map((method) => ({ verb: "POST", path: `/${method}` })),
    ...FIXED.flatMap((path) => ["GET", "POST"].map((verb) => ({ verb, path }))),
  ];
}

async function call({ verb, path }: Route, headers: Record<string, string>): Promise<Response> {
  const body = verb === "GET" || verb === "DELETE" ? {} : { body: "{}" };
  const response = await fetch(muster.url + path, {
    method: verb,
    headers: { "content-type": "application/json", accept: "text/html", cookie: "session=1", ...headers },
    ...body,
  });
  await response.arrayBuffer();
  return response;
}

test("no route sets a cookie, and HTML comes from the pages alone", async () => {
  const routes = await allRoutes();
  expect(routes.length).toBeGreaterThan(150);
  const callers = [{}, { authorization: `Bearer ${muster.apiKey}` }, { authorization: "Bearer nonsense" }];
  const problems: string[] = [];
  for (const route of routes) {
    for (const headers of callers) {
      const response = await call(route, headers);
      const what = `${route.verb} ${route.path}: ${response.status}`;
      if (response.headers.has("set-cookie")) problems.push(`${what} sets a cookie`);
      const type = response.headers.get("content-type") ?? "";
      const isPage = PAGES.some((page) => page.test(route.path));
      if (type.includes("html") && !isPage) problems.push(`${what} is ${type}`);
      if (response.headers.get("x-content-type-options") !== "nosniff")
        problems.push(`${what} may be sniffed`);
    }
  }
  expect(problems).toEqual([]);
});
