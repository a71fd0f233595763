// Declares a stored API key: the hash, never the secret. Pure.
import { type ApiKeyId, isUuid, type OrganizationId } from "@muster/core";
import { AppError, type FieldError } from "@muster/errors";

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
  /** Set by a rotation: the end of the overlap. Undefined means never. */
  readonly expireTimeMs: number | undefined;
}

export function isValidAt(key: ApiKey, nowMs: number): boolean {
  return key.expireTimeMs === undefined || nowMs < key.expireTimeMs;
}

/** A malformed id is reported as not found, so that it reveals no more than an unknown id. */
export function parseApiKeyId(text: string): ApiKeyId {
  if (!isUuid(text)) throw new AppError("API_KEY_NOT_FOUND");
  return text as ApiKeyId;
}

/** Refuses scopes that no method requires: a typo would otherwise show only when a call fails. */
export function requireKnownScopes(scopes: readonly string[], known: ReadonlySet<string>): void {
  const fields = scopes.flatMap((scope, index): FieldError[] =>
    scope === "*" || known.has(scope)
      ? []
      : [{ field: `scopes[${index}]`, message: 'is no permission; use "*" or names such as "events.write"' }],
  );
  const first = fields[0];
  if (first === undefined) return;
  throw new AppError("FIELD_INVALID", { message: `${first.field}: ${first.message}`, fields });
}

/** Invariant: a new key holds no more than the key that creates it. */
export function requireHeldScopes(
  scopes: readonly string[],
  maker: { has(permission: string): boolean },
): void {
  const missing = scopes.filter((scope) => !maker.has(scope));
  if (missing.length === 0) return;
  throw new AppError("PERMISSION_DENIED", {
    message: "A key can only be given scopes that the credential making it holds.",
    details: { missing_scopes: missing.join(" ").slice(0, 1_000) },
  });
}
