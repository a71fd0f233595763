// Measures accounts (`make bench-accounts`), each figure as a ratio to a baseline of the same run.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Installation, startInstallation } from "../../harness/installation.ts";
import { RestClient } from "../../harness/rest.ts";
import { Results } from "../results.ts";
import { storeAccounts } from "./accounts.ts";
import { measureCachedCredentials } from "./cached-credentials.ts";
import { measureBurst, measureRate, measureRefusals } from "./logins.ts";

/** MUSTER_BENCH_SECONDS sets how long each round of logins lasts. */
const SECONDS = Number(process.env.MUSTER_BENCH_SECONDS ?? 5);
/** MUSTER_BENCH_ONLY selects "tokens" or "logins". */
const ONLY = process.env.MUSTER_BENCH_ONLY ?? "";
const TOKEN_ROUNDS = 100;
/** Requests per second of processor time with a cached access token, as a ratio to the same with an API key. */
const GOAL_TOKEN_RATIO = 0.95;
/** The benchmark names the client of each attempt, as a proxy does. No address is locked for all clients. */
const VARIABLES = {
  MUSTER_TRUSTED_PROXIES: "127.0.0.0/8",
  MUSTER_LOGIN_ADDRESS_FAILURES_MAX: "100000",
};

const results = new Results("bench-accounts");

async function main(): Promise<void> {
  const installation = await startInstallation("embedded", VARIABLES);
  try {
    if ("tokens".includes(ONLY)) await measureTokens(installation);
    if ("logins".includes(ONLY)) await measureLogins(installation);
    await results.report({
      seconds: SECONDS,
      token_rounds: TOKEN_ROUNDS,
      goal_token_ratio: GOAL_TOKEN_RATIO,
    });
  } finally {
    await installation.stop();
  }
}

async function measureTokens(installation: Installation): Promise<void> {
  const accessToken = await signIn(installation);
  const figures = await measureCachedCredentials(installation, accessToken, TOKEN_ROUNDS);
  results.record({
    part: "requests with a cached access token",
    per_cpu_second: figures.tokenPerSecond,
    with_api_key_per_cpu_second: figures.keyPerSecond,
    ratio: figures.ratio,
    ratio_quartiles: figures.ratioQuartiles.join("–"),
    goal: figures.ratio >= GOAL_TOKEN_RATIO ? "met" : "MISSED",
  });
}

async function measureLogins(installation: Installation): Promise<void> {
  const accounts = await storeAccounts(installation);
  results.record(await measureRate(installation, accounts, SECONDS * 1000));
  results.record(await measureBurst(installation, accounts));
  for (const row of await measureRefusals(installation, accounts)) results.record(row);
}

/** The access token of the demo organization's owner. */
async function signIn({ url, variables }: Installation): Promise<string> {
  const file = join(variables.MUSTER_DATA_DIR ?? "", "demo-owner-password");
  const password = (await readFile(file, "utf8")).trim();
  const response = await new RestClient({ url, apiKey: "" }).post("/v1/login", {
    email: "owner@demo.test",
    password,
  });
  if (response.status !== 200) throw new Error(`the login got ${response.status}: ${response.text}`);
  return response.body.access_token as string;
}

await main();
