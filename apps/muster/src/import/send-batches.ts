// Sends events to the running server in batches, several at a time, and waits when the server requests it.
import { type BackoffPolicy, backoffMs, type Clock } from "@muster/core";
import type { ServerAccess } from "./server-access.ts";

export interface SendOptions {
  readonly server: ServerAccess;
  readonly clock: Clock;
  /** Number of attempts per batch while the server cannot accept it. */
  readonly attemptsMax: number;
}

export interface LineOutcome {
  readonly line: number;
  readonly status: "stored" | "duplicate" | "rejected";
  readonly message: string;
}

interface BatchResponse {
  readonly results: readonly {
    readonly index: number;
    readonly status: LineOutcome["status"];
    readonly error: { readonly message: string } | null;
  }[];
}

/** Waits between attempts, unless the server requests a longer wait. */
const BACKOFF: BackoffPolicy = { minMs: 200, maxMs: 5_000 };

/** The server refused the whole import, or stayed unreachable. The message states what to do. */
export class ImportFailed extends Error {
  override name = "ImportFailed";
}

/**
 * Sends a batch, each event as its JSON text, and returns the outcome of each line. Sending a batch twice is
 * harmless: ids repeat.
 */
export async function sendBatch(
  events: readonly string[],
  lines: readonly number[],
  options: SendOptions,
): Promise<LineOutcome[]> {
  const body = `{"events":[${events.join(",")}]}`;
  for (let attempt = 1; ; attempt += 1) {
    const sent = await post(body, options);
    if (typeof sent !== "number") {
      return sent.results.map(({ index, status, error }) => ({
        line: lines[index] ?? 0,
        status,
        message: error?.message ?? "",
      }));
    }
    if (attempt >= options.attemptsMax) {
      throw new ImportFailed(
        `${options.server.url} could not take events after ${attempt} tries. Run the import again to go on.`,
      );
    }
    await options.clock.sleep(Math.max(sent, backoffMs(attempt, BACKOFF)));
  }
}

/** The response, or the number of milliseconds until a retry is worthwhile. */
async function post(body: string, { server }: SendOptions): Promise<BatchResponse | number> {
  let response: Response;
  try {
    response = await fetch(new URL("/v1/events:batch", server.url), {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${server.apiKey}` },
      body,
    });
  } catch {
    return 500;
  }
  if (response.ok) return (await response.json()) as BatchResponse;
  const text = await response.text();
  if (response.status === 429 || response.status >= 500) {
    return 1000 * Number(response.headers.get("retry-after") ?? 0);
  }
  throw new ImportFailed(
    `${server.url} returned ${response.status}: ${messageOf(text)}${keyAdvice(response.status, server)}`,
  );
}

/** States the source and the first characters of the refused key, and the remedy. */
function keyAdvice(status: number, { apiKey, keySource }: ServerAccess): string {
  if (status !== 401 && status !== 403) return "";
  const key = `${apiKey.slice(0, 6)}…`;
  return `\nThe key ${key} came from ${keySource}. Give another with --api-key or MUSTER_API_KEY.`;
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { message: string }).message;
  } catch {
    return text.slice(0, 200);
  }
}
