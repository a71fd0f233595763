// Tests the client of a call on every mount.
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CLIENT_ADDRESS, CLIENT_USER_AGENT, createClient, SERVICE_TOKEN } from "../src/index.ts";
import { type Mounted, mounts } from "./mounts.ts";
import { newKey, type TestModule, testModule, tokensOf } from "./test-module.ts";

const FORGED = { [CLIENT_ADDRESS]: "203.0.113.9", [CLIENT_USER_AGENT]: "forged" };

describe.each(Object.keys(mounts))("%s", (name) => {
  let module: TestModule;
  let mounted: Mounted;

  beforeAll(async () => {
    module = testModule();
    const mount = mounts[name];
    if (mount === undefined) throw new Error(name);
    mounted = await mount(module);
  });
  afterAll(() => mounted.close());

  async function callWith(more: Record<string, string>) {
    const headers = new Map(Object.entries({ authorization: "Bearer writer", ...more }));
    await createClient(ApiKeyService, mounted.caller).createApiKey(newKey("n"), { headers });
    const context = module.observed.calls.at(-1);
    expect([...(context?.requestHeaders.keys() ?? [])].filter((key) => key in FORGED)).toEqual([]);
    return context?.client;
  }

  const peer = name === "direct" ? "" : "127.0.0.1";

  test("the client is the peer, with its user agent", async () => {
    const client = await callWith({ "user-agent": "curl/8.0" });
    expect(client?.address).toBe(peer);
    // grpc-js sends a user agent of its own.
    expect(client?.userAgent).toMatch(name === "grpc-js" ? /^grpc-node-js/ : /curl\/8\.0/);
  });

  test("nobody else forges the client of the gateway", async () => {
    expect((await callWith(FORGED))?.address).toBe(peer);
    const client = await callWith({ ...FORGED, [SERVICE_TOKEN]: tokensOf("events").mint() });
    expect(client?.address).toBe(peer);
    expect(client?.userAgent).not.toBe("forged");
  });

  test.runIf(name === "direct" || name === "grpc-js")("the gateway names the client", async () => {
    const token = { [SERVICE_TOKEN]: tokensOf("gateway").mint() };
    expect(await callWith({ ...FORGED, ...token })).toEqual({ address: "203.0.113.9", userAgent: "forged" });
    expect(await callWith({ ...token, [CLIENT_ADDRESS]: "garbage", "user-agent": "gateway" })).toEqual({
      address: "",
      userAgent: "",
    });
  });
});

test("a user agent is cut and cleaned", async () => {
  const { dispatcher, observed } = testModule();
  const headers = new Map([
    ["authorization", "Bearer writer"],
    ["user-agent", `a\r\n\u00e9<b>${"x".repeat(1000)}`],
  ]);
  await createClient(ApiKeyService, dispatcher).createApiKey(newKey("n"), { headers });
  const userAgent = observed.calls[0]?.client.userAgent;
  expect(userAgent).toBe(`a???<b>${"x".repeat(248)}`);
});
