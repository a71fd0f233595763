// Exports the API keys that a person has made, without anything that helps to guess a key.
import type { Database } from "@muster/db";
import type { ApiKey } from "../api-keys/api-key.ts";
import { listApiKeyPage } from "../api-keys/api-key-store.ts";
import { type ExportSubject, rowsOf, timeText, timeTextOrNull } from "./export-section.ts";

export async function* apiKeyRecords(
  { reader }: Database,
  { organizationId, userId }: ExportSubject,
): AsyncIterable<string> {
  const selection = { organizationId, createdBy: userId };
  const keys = rowsOf<ApiKey>((after, limit) => listApiKeyPage(reader, selection, after, limit));
  for await (const key of keys) yield JSON.stringify(recordOf(key));
}

function recordOf(key: ApiKey) {
  return {
    id: key.id,
    name: key.name,
    prefix: key.prefix,
    scopes: key.scopes,
    grant_up_to: key.grantUpTo ?? null,
    create_time: timeText(key.createTimeMs),
    expire_time: timeTextOrNull(key.expireTimeMs),
    last_used_time: timeTextOrNull(key.lastUsedTimeMs),
  };
}
