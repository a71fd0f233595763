// Takes single services away, by kill and by freeze: known keys outlive identity, and reads end in time with
// Retry-After.
import { kill } from "node:process";
import { newApiKeySecret } from "@muster/authz";
import { systemClock } from "@muster/core";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Installation, startInstallation, type Target } from "../harness/installation.ts";
import { RestClient, type RestResponse } from "../harness/rest.ts";

/** Ten seconds by contract, and time for a loaded machine. */
const READ_MS_MAX = 13_000;
/** Beats are missed after 2.5 s, and verifications are old after 5 s. */
const IDENTITY_AWAY_MS = 6_000;

let installation: Installation;
let rest: RestClient;

beforeAll(async () => {
  installation = await startInstallation("production");
  rest = new RestClient(installation);
  expect((await rest.post("/v1/events", { user_id: "ada", name: "viewed" })).status).toBe(201);
  expect((await rest.get("/v1/segments/abandoned-cart/profiles")).status).toBe(200);
}, 180_000);
afterAll(() => installation?.stop());

const processOf = (target: Target) => {
  const process = installation.processes.get(target);
  if (process === undefined) throw new Error(`no process runs ${target}`);
  return process;
};

function expectUnavailable(response: RestResponse): void {
  expect(response.status).toBe(503);
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(["UNAVAILABLE", "NOT_YET_CONSISTENT"]).toContain(response.body.reason);
}

async function readWhileFrozen(target: Target): Promise<void> {
  const { pid } = processOf(target);
  kill(pid, "SIGSTOP");
  try {
    const startMs = systemClock.monotonicMs();
    expectUnavailable(await rest.get("/v1/segments/abandoned-cart/profiles"));
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(READ_MS_MAX);
  } finally {
    kill(pid, "SIGCONT");
  }
  await waitFor(async () => (await rest.get("/v1/segments/abandoned-cart/profiles")).status === 200, {
    timeoutMs: 30_000,
  });
}

test("a read ends within ten seconds while segments is frozen", { timeout: 90_000 }, () =>
  readWhileFrozen("segments"),
);

test("a read ends within ten seconds while events is frozen", { timeout: 90_000 }, () =>
  readWhileFrozen("events"),
);

test("known keys outlive identity, and sensitive calls do not", { timeout: 120_000 }, async () => {
  const identity = processOf("identity");
  // A freeze is a gap in the beats, and verifications from before a gap serve nobody.
  await systemClock.sleep(1_500);
  expect((await rest.post("/v1/events", { user_id: "ada", name: "viewed" })).status).toBe(201);
  expect((await rest.get("/v1/segments/abandoned-cart/profiles")).status).toBe(200);
  await identity.end("SIGKILL");
  await systemClock.sleep(IDENTITY_AWAY_MS);
  expect((await rest.post("/v1/events", { user_id: "ada", name: "viewed" })).status).toBe(201);
  const read = await rest.get("/v1/segments/abandoned-cart/profiles?consistency=eventual");
  expect(read.status).toBe(200);
  expectUnavailable(await rest.request("DELETE", "/v1/user/ada"));
  const stranger = new RestClient({ url: installation.url, apiKey: newApiKeySecret() });
  expectUnavailable(await stranger.get("/v1/profiles"));

  await identity.start();
  await waitFor(async () => (await stranger.get("/v1/profiles")).status === 401, { timeoutMs: 30_000 });
  await waitFor(async () => (await rest.request("DELETE", "/v1/user/ada")).status === 204, {
    timeoutMs: 30_000,
  });
});
