// Makes a key: its secret leaves here once, its hash stays.
import { apiKeyPrefix, hashApiKey, newApiKeySecret } from "@muster/authz";
import type { Clock, IdSource } from "@muster/core";
import type { ApiKey } from "./api-key.ts";

export interface IssuedApiKey {
  readonly apiKey: ApiKey;
  readonly secret: string;
}

/** What the caller decides about a new key. */
export type NewApiKey = Pick<ApiKey, "organizationId" | "name" | "scopes"> &
  Partial<Pick<ApiKey, "expireTimeMs" | "grantUpTo" | "createdBy">>;

export function issueApiKey(
  { clock, ids }: { readonly clock: Clock; readonly ids: IdSource },
  { organizationId, name, scopes, expireTimeMs, grantUpTo, createdBy }: NewApiKey,
): IssuedApiKey {
  const secret = newApiKeySecret();
  const createTimeMs = clock.nowMs();
  const apiKey: ApiKey = {
    id: ids.next(createTimeMs),
    organizationId,
    name,
    scopes,
    prefix: apiKeyPrefix(secret),
    hash: hashApiKey(secret),
    createTimeMs,
    expireTimeMs,
    isRotated: false,
    grantUpTo,
    createdBy,
    lastUsedTimeMs: undefined,
  };
  return { apiKey, secret };
}
