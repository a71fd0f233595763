// Makes a key: its secret leaves here once, its hash stays.
import { apiKeyPrefix, hashApiKey, newApiKeySecret } from "@muster/authz";
import type { Clock, IdSource, OrganizationId } from "@muster/core";
import type { ApiKey } from "./api-key.ts";

export interface IssuedApiKey {
  readonly apiKey: ApiKey;
  readonly secret: string;
}

export function issueApiKey(
  { clock, ids }: { readonly clock: Clock; readonly ids: IdSource },
  key: {
    readonly organizationId: OrganizationId;
    readonly name: string;
    readonly scopes: readonly string[];
  },
): IssuedApiKey {
  const secret = newApiKeySecret();
  const createTimeMs = clock.nowMs();
  const apiKey: ApiKey = {
    ...key,
    id: ids.next(createTimeMs),
    prefix: apiKeyPrefix(secret),
    hash: hashApiKey(secret),
    createTimeMs,
    expireTimeMs: undefined,
  };
  return { apiKey, secret };
}
