// ReportApiKeyUsage: adds the calls that another process has counted.
import type { AddApiKeyUsage } from "@muster/authz";
import type { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { bytesToUuid } from "@muster/core";
import type { UnaryHandler } from "@muster/rpc";

export function reportApiKeyUsage(
  add: AddApiKeyUsage,
): UnaryHandler<typeof CredentialService.method.reportApiKeyUsage> {
  return async ({ reporterId, sequence, calls }) => {
    await add({
      reporterId: bytesToUuid(reporterId),
      sequence: Number(sequence),
      calls: calls.map(({ apiKeyId, day, calls: count }) => ({
        apiKeyId: bytesToUuid(apiKeyId),
        day,
        calls: Number(count),
      })),
    });
    return {};
  };
}
