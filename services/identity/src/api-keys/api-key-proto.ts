// Converts API keys to messages of the contract: without hash, without secret.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { roleToProto } from "@muster/authz";
import { type ApiKey as ApiKeyMessage, ApiKeySchema } from "@muster/contracts/muster/identity/v1/api_key_pb";
import type { ApiKey } from "./api-key.ts";

export function apiKeyToProto(key: ApiKey): ApiKeyMessage {
  const message = create(ApiKeySchema, {
    id: key.id,
    name: key.name,
    prefix: key.prefix,
    scopes: [...key.scopes],
    createTime: timestampFromMs(key.createTimeMs),
  });
  if (key.expireTimeMs !== undefined) message.expireTime = timestampFromMs(key.expireTimeMs);
  if (key.lastUsedTimeMs !== undefined) message.lastUsedTime = timestampFromMs(key.lastUsedTimeMs);
  if (key.grantUpTo !== undefined) message.grantUpTo = roleToProto(key.grantUpTo);
  if (key.createdBy !== undefined) message.createdBy = key.createdBy;
  return message;
}
