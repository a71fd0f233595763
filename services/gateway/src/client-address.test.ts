// Tests the client that the gateway names to services.
import { create } from "@bufbuild/protobuf";
import { CLIENT_ADDRESS, CLIENT_USER_AGENT } from "@muster/rpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { send, startTestGateway, type TestGateway } from "./test-gateway.ts";

let muster: TestGateway;

beforeAll(async () => {
  muster = await startTestGateway({ trustedProxies: ["127.0.0.0/8"] });
  muster.caller.response = async (method) => ({ message: create(method.output), headers: new Map() });
});
afterAll(() => muster.gateway.stop(500));

const REST = "/v1/events";
const CONNECT = "/muster.events.v1.EventService/RecordEvent";

async function clientOf(path: string, headers: Record<string, string>) {
  const type = { "content-type": "application/json" };
  await send(muster.port, path, { method: "POST", body: "{}", headers: { ...type, ...headers } });
  const metadata = muster.caller.last.options.headers;
  return { address: metadata.get(CLIENT_ADDRESS), userAgent: metadata.get(CLIENT_USER_AGENT) };
}

test.each([REST, CONNECT])("%s passes the client behind a trusted proxy", async (path) => {
  expect(await clientOf(path, {})).toEqual({ address: "127.0.0.1", userAgent: undefined });
  const headers = { "x-forwarded-for": "1.1.1.1, 203.0.113.9", "user-agent": "Browser/1 \u00e9" };
  expect(await clientOf(path, headers)).toEqual({ address: "203.0.113.9", userAgent: "Browser/1 ??" });
});

test.each([REST, CONNECT])("%s ignores other headers about the client", async (path) => {
  const forged = {
    forwarded: "for=203.0.113.9",
    "x-real-ip": "203.0.113.9",
    "muster-client-address": "203.0.113.9",
    "muster-client-user-agent": "forged",
  };
  expect(await clientOf(path, forged)).toEqual({ address: "127.0.0.1", userAgent: undefined });
});
