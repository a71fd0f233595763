import { expect, test } from "vitest";
import { mayActAsDemo } from "./demo-access.ts";

const local = { remoteAddress: "127.0.0.1", headers: { host: "localhost:3000" } };

test.each<[string, { remoteAddress?: string | undefined; headers?: Record<string, string | string[]> }]>([
  ["plain", {}],
  ["IPv6", { remoteAddress: "::1", headers: { host: "[::1]:3000" } }],
  ["IPv4 in IPv6", { remoteAddress: "::ffff:127.0.0.1" }],
  ["another loopback address", { remoteAddress: "127.0.1.1" }],
  ["no port", { headers: { host: "127.0.0.1" } }],
  ["capital host", { headers: { host: "LocalHost" } }],
  [
    "a page of its own",
    { headers: { host: "localhost:3000", origin: "http://localhost:3000", "sec-fetch-site": "same-origin" } },
  ],
  [
    "a page of the same site",
    { headers: { host: "localhost:3000", origin: "http://localhost:5173", "sec-fetch-site": "same-site" } },
  ],
  ["typed into the address bar", { headers: { host: "localhost", "sec-fetch-site": "none" } }],
])("yes: %s", (_, change) => {
  expect(mayActAsDemo({ ...local, ...change })).toBe(true);
});

test.each<[string, { remoteAddress?: string | undefined; headers?: Record<string, string | string[]> }]>([
  ["another machine", { remoteAddress: "10.0.0.7" }],
  ["another machine, IPv4 in IPv6", { remoteAddress: "::ffff:10.0.0.7" }],
  ["an address that only begins so", { remoteAddress: "127.0.0.1.example" }],
  ["unknown address", { remoteAddress: undefined }],
  ["no host", { headers: {} }],
  ["another host", { headers: { host: "muster.example" } }],
  ["a rebound name", { headers: { host: "localhost.example:3000" } }],
  ["a name below localhost", { headers: { host: "a.localhost" } }],
  ["another loopback host", { headers: { host: "127.0.0.2" } }],
  ["a host with user", { headers: { host: "x@localhost" } }],
  ["a broken port", { headers: { host: "localhost:" } }],
  ["Forwarded", { headers: { host: "localhost", forwarded: "for=1.2.3.4" } }],
  ["X-Forwarded-For", { headers: { host: "localhost", "x-forwarded-for": "1.2.3.4" } }],
  ["X-Forwarded-Proto, empty", { headers: { host: "localhost", "x-forwarded-proto": "" } }],
  ["X-Forwarded", { headers: { host: "localhost", "x-forwarded": "for=1.2.3.4" } }],
  ["Via", { headers: { host: "localhost", via: "1.1 proxy" } }],
  ["X-Real-IP", { headers: { host: "localhost", "x-real-ip": "1.2.3.4" } }],
  ["CF-Connecting-IP", { headers: { host: "localhost", "cf-connecting-ip": "1.2.3.4" } }],
  ["True-Client-IP", { headers: { host: "localhost", "true-client-ip": "1.2.3.4" } }],
  ["X-Original-Forwarded-For", { headers: { host: "localhost", "x-original-forwarded-for": "1.2.3.4" } }],
  ["another origin", { headers: { host: "localhost:3000", origin: "https://evil.example" } }],
  ["an opaque origin", { headers: { host: "localhost:3000", origin: "null" } }],
  ["another name of this machine", { headers: { host: "localhost:3000", origin: "http://127.0.0.1:3000" } }],
  ["two origins", { headers: { host: "localhost", origin: "http://localhost, https://evil.example" } }],
  ["cross-site", { headers: { host: "localhost", "sec-fetch-site": "cross-site" } }],
  ["unknown site", { headers: { host: "localhost", "sec-fetch-site": "" } }],
])("no: %s", (_, change) => {
  expect(mayActAsDemo({ ...local, ...change })).toBe(false);
});
