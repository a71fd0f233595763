// Compares requests with a cached access token and requests with a cached API key, in many short alternating rounds.
import { Agent, request } from "node:http";
import type { Installation } from "../../harness/installation.ts";
import { cpuNanoseconds, round } from "../measure.ts";

const CONNECTIONS = 4;
/** Few, so that other work on the machine disturbs both credentials alike; with fewer, garbage decides. */
const REQUESTS_PER_ROUND = 400;
/** Until the compiler has optimized what both credentials run. */
const WARM_UP_ROUNDS = 5;
/** A cheap read that does the same for users and for keys. */
const PATH = "/v1/api-keys?page_size=1";

/** Medians of the rounds: a collection of garbage falls into a few of them, whatever the credential. */
export interface CachedCredentials {
  /** Requests per second of the server's processor time. */
  readonly keyPerSecond: number;
  readonly tokenPerSecond: number;
  /** Of the two rounds that follow each other. */
  readonly ratio: number;
  /** Half of all pairs of rounds have a ratio between these. */
  readonly ratioQuartiles: readonly [number, number];
}

export async function measureCachedCredentials(
  installation: Installation,
  accessToken: string,
  rounds: number,
): Promise<CachedCredentials> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const send = (credential: string) => sendRound(installation, agent, credential);
  const [key, token] = [installation.apiKey, accessToken];
  try {
    for (let index = 0; index < WARM_UP_ROUNDS; index += 1) for (const one of [key, token]) await send(one);
    const keyCosts: number[] = [];
    const tokenCosts: number[] = [];
    for (let index = 0; index < rounds; index += 1) {
      if (index % 2 === 0) keyCosts.push(await send(key));
      tokenCosts.push(await send(token));
      if (index % 2 === 1) keyCosts.push(await send(key));
    }
    const ratios = tokenCosts.map((cost, index) => (keyCosts[index] ?? Number.NaN) / cost);
    return {
      keyPerSecond: Math.round(1 / quantile(keyCosts, 0.5)),
      tokenPerSecond: Math.round(1 / quantile(tokenCosts, 0.5)),
      ratio: round(quantile(ratios, 0.5), 3),
      ratioQuartiles: [round(quantile(ratios, 0.25), 3), round(quantile(ratios, 0.75), 3)],
    };
  } finally {
    agent.destroy();
  }
}

/** The server's processor time for a request of the round, in seconds. */
async function sendRound(
  { url, processes }: Installation,
  agent: Agent,
  credential: string,
): Promise<number> {
  const pid = processes.get("all")?.pid ?? 0;
  const before = cpuNanoseconds(pid);
  let remaining = REQUESTS_PER_ROUND;
  const lane = async (): Promise<void> => {
    for (; remaining > 0; ) {
      remaining -= 1;
      await sendOne(url, agent, credential);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, lane));
  return (cpuNanoseconds(pid) - before) / REQUESTS_PER_ROUND / 1e9;
}

/** Not `fetch`, which takes more processor time than the server. */
function sendOne(url: string, agent: Agent, credential: string): Promise<void> {
  const headers = { authorization: `Bearer ${credential}` };
  return new Promise((resolve, reject) => {
    request(url + PATH, { agent, headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`a request got ${response.statusCode}`));
      response.on("end", resolve).on("error", reject).resume();
    })
      .on("error", reject)
      .end();
  });
}

function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
}
