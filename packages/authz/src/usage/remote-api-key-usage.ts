// Reports the usage of API keys to identity from another process.
import { type Clock, uuidToBytes } from "@muster/core";
import type { AddApiKeyUsage } from "./api-key-usage.ts";

/** Shorter than the time that a worker has to stop. */
const DEADLINE_MS = 3_000;

/** The method of a CredentialService client that this file needs. */
interface UsageClient {
  reportApiKeyUsage(
    request: {
      reporterId: Uint8Array;
      sequence: bigint;
      calls: { apiKeyId: Uint8Array; day: number; calls: bigint }[];
    },
    options: { readonly deadlineMs: number },
  ): Promise<unknown>;
}

/** Adds reports by CredentialService.ReportApiKeyUsage. */
export function remoteApiKeyUsage(client: UsageClient, clock: Clock): AddApiKeyUsage {
  return async ({ reporterId, sequence, calls }) => {
    await client.reportApiKeyUsage(
      {
        reporterId: uuidToBytes(reporterId),
        sequence: BigInt(sequence),
        calls: calls.map(({ apiKeyId, day, calls: count }) => ({
          apiKeyId: uuidToBytes(apiKeyId),
          day,
          calls: BigInt(count),
        })),
      },
      { deadlineMs: clock.nowMs() + DEADLINE_MS },
    );
  };
}
