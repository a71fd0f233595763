// Measures concurrent single POSTs over keep-alive connections with autocannon.
import autocannon from "autocannon";
import { benchEvent } from "./events.ts";
import { type Latencies, round } from "./measure.ts";

export interface SinglePosts extends Latencies {
  readonly perSecond: number;
  readonly total: number;
  /** Responses other than 2xx. */
  readonly rejected: number;
}

export async function measureSinglePosts(
  url: string,
  apiKey: string,
  options: { readonly run: string; readonly connections: number; readonly seconds: number },
): Promise<SinglePosts> {
  let sent = 0;
  const result = await autocannon({
    url,
    connections: options.connections,
    duration: options.seconds,
    requests: [
      {
        method: "POST",
        headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
        setupRequest: (request) => {
          sent += 1;
          return { ...request, body: JSON.stringify(benchEvent(options.run, sent)) };
        },
      },
    ],
  });
  return {
    perSecond: Math.round(result["2xx"] / result.duration),
    total: result["2xx"],
    rejected: result.non2xx + result.errors,
    p50_ms: round(result.latency.p50),
    p99_ms: round(result.latency.p99),
  };
}
