// GetApiKeyUsage: returns how many calls a key has made on each date of a window, and its last use.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import { readCallsByDay } from "../api-key-usage/api-key-usage-store.ts";
import { isValidAt, parseApiKeyId } from "../api-keys/api-key.ts";
import { findApiKey } from "../api-keys/api-key-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { dateOf, dayOf, firstDayOf } from "../login-counts/login-window.ts";

export function getApiKeyUsage(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.getApiKeyUsage> {
  const { clock, database } = deps;
  return async (request, { organizationId }) => {
    const id = parseApiKeyId(request.apiKeyId);
    const nowMs = clock.nowMs();
    const today = dayOf(nowMs);
    // Validation refuses other windows than "7d", "30d" and "90d".
    const windowDays = Number(request.window.slice(0, -1));
    const first = firstDayOf(windowDays, today);
    return database.snapshot(async (trx) => {
      const key = await findApiKey(trx, organizationId, id);
      if (key === undefined || !isValidAt(key, nowMs)) throw new AppError("API_KEY_NOT_FOUND");
      const calls = await readCallsByDay(trx, key, first, today);
      const days = Array.from({ length: windowDays }, (_, index) => ({
        date: dateOf(first + index),
        calls: BigInt(calls.get(first + index) ?? 0),
      }));
      const { lastUsedTimeMs } = key;
      return lastUsedTimeMs === undefined
        ? { days }
        : { days, lastUsedTime: timestampFromMs(lastUsedTimeMs) };
    });
  };
}
