// Compares requests with a cached access token and requests with a cached API key, in many short alternating rounds.
import autocannon from "autocannon";
import type { Installation } from "../../harness/installation.ts";
import { cpuSeconds, round } from "../measure.ts";

const CONNECTIONS = 4;
/** Short, so that other work on the machine disturbs both credentials alike. */
const REQUESTS_PER_ROUND = 300;
/** A cheap read that does the same for users and for keys. */
const PATH = "/v1/api-keys?page_size=1";

export interface CachedCredentials {
  /** Requests per second of the server's processor time. */
  readonly keyPerSecond: number;
  readonly tokenPerSecond: number;
  readonly ratio: number;
}

export async function measureCachedCredentials(
  installation: Installation,
  accessToken: string,
  rounds: number,
): Promise<CachedCredentials> {
  const key = new Rounds(installation, installation.apiKey);
  const token = new Rounds(installation, accessToken);
  for (let warmUp = 0; warmUp < 5; warmUp += 1) for (const one of [key, token]) await one.send();
  for (const one of [key, token]) one.reset();
  for (let index = 0; index < rounds; index += 1) {
    for (const one of index % 2 === 0 ? [key, token] : [token, key]) await one.send();
  }
  return {
    keyPerSecond: Math.round(key.perSecond),
    tokenPerSecond: Math.round(token.perSecond),
    ratio: round(token.perSecond / key.perSecond, 3),
  };
}

/** The rounds of one credential. */
class Rounds {
  readonly #url: string;
  readonly #pid: number;
  readonly #headers: Readonly<Record<string, string>>;
  #requests = 0;
  #cpuSeconds = 0;

  constructor({ url, processes }: Installation, credential: string) {
    this.#url = `${url}${PATH}`;
    this.#pid = processes.get("all")?.pid ?? 0;
    this.#headers = { authorization: `Bearer ${credential}` };
  }

  /** By processor time, because the load generator reports its duration in whole seconds. */
  get perSecond(): number {
    return this.#requests / this.#cpuSeconds;
  }

  async send(): Promise<void> {
    const cpuBefore = cpuSeconds(this.#pid);
    const result = await autocannon({
      url: this.#url,
      connections: CONNECTIONS,
      amount: REQUESTS_PER_ROUND,
      headers: this.#headers,
    });
    const failed = result.non2xx + result.errors;
    if (failed > 0) throw new Error(`${failed} requests failed`);
    this.#requests += result["2xx"];
    this.#cpuSeconds += cpuSeconds(this.#pid) - cpuBefore;
  }

  reset(): void {
    this.#requests = 0;
    this.#cpuSeconds = 0;
  }
}
