// Declares a stored API key: the hash, never the secret.
import type { Role } from "@muster/authz";
import { type ApiKeyId, isUuid, type OrganizationId, type UserId } from "@muster/core";
import { AppError } from "@muster/errors";

export interface ApiKey {
  readonly id: ApiKeyId;
  readonly organizationId: OrganizationId;
  readonly name: string;
  /** The first characters of the secret. */
  readonly prefix: string;
  /** SHA-256 of the secret. */
  readonly hash: Buffer;
  readonly scopes: readonly string[];
  readonly createTimeMs: number;
  /** The end that a caller has set, or the end of the overlap after a rotation. Undefined means never. */
  readonly expireTimeMs: number | undefined;
  /** A successor has replaced the key. */
  readonly isRotated: boolean;
  /** The key grants roles as a member with this role; undefined means as a member. */
  readonly grantUpTo: Role | undefined;
  /** The user who is responsible for the key; undefined for a key of an operator. */
  readonly createdBy: UserId | undefined;
  /** The last look-up for a call. */
  readonly lastUsedTimeMs: number | undefined;
}

export function isValidAt(key: ApiKey, nowMs: number): boolean {
  return key.expireTimeMs === undefined || nowMs < key.expireTimeMs;
}

/** A malformed id is reported as not found, so that it reveals no more than an unknown id. */
export function parseApiKeyId(text: string): ApiKeyId {
  if (!isUuid(text)) throw new AppError("API_KEY_NOT_FOUND");
  return text as ApiKeyId;
}
