// Measures signed-in callers (`make bench-accounts`), each figure as a ratio to a baseline of the same run.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Installation, startInstallation } from "../../harness/installation.ts";
import { RestClient } from "../../harness/rest.ts";
import { Results } from "../results.ts";
import { measureCachedCredentials } from "./cached-credentials.ts";

/** MUSTER_BENCH_SECONDS sets how long each round lasts. */
const SECONDS = Number(process.env.MUSTER_BENCH_SECONDS ?? 3);
/** Requests per second with a cached access token, as a ratio to the same with an API key. */
const GOAL_TOKEN_RATIO = 0.95;

const results = new Results("bench-accounts");

async function main(): Promise<void> {
  const installation = await startInstallation("embedded");
  try {
    const accessToken = await signIn(installation);
    const { keyPerSecond, tokenPerSecond, ratio } = await measureCachedCredentials(
      installation,
      accessToken,
      SECONDS,
    );
    results.record({
      part: "requests with a cached access token",
      per_second: tokenPerSecond,
      with_api_key_per_second: keyPerSecond,
      ratio,
      goal: ratio >= GOAL_TOKEN_RATIO ? "met" : "MISSED",
    });
    await results.report({ seconds: SECONDS, goal_token_ratio: GOAL_TOKEN_RATIO });
  } finally {
    await installation.stop();
  }
}

/** The access token of the demo organization's owner. */
async function signIn(installation: Installation): Promise<string> {
  const folder = installation.variables.MUSTER_DATA_DIR ?? "";
  const password = (await readFile(join(folder, "demo-owner-password"), "utf8")).trim();
  const { status, body, text } = await new RestClient(installation).post("/v1/login", {
    email: "owner@demo.test",
    password,
  });
  if (status !== 200) throw new Error(`the login got ${status}: ${text}`);
  return body.access_token as string;
}

await main();
