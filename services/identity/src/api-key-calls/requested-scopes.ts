// Checks the scopes that a caller requests for a new API key.
import { EVERY_PERMISSION, isPermission } from "@muster/authz";
import { AppError, type FieldError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";

/** Refuses scopes that are no permission: a typo would otherwise show only when a call fails. */
export function requireKnownScopes(scopes: readonly string[], field = "scopes"): void {
  const fields = scopes.flatMap((scope, index): FieldError[] =>
    isScope(scope)
      ? []
      : [
          {
            field: `${field}[${index}]`,
            message: 'is no permission; use "*" or names such as "events.write"',
          },
        ],
  );
  const first = fields[0];
  if (first === undefined) return;
  throw new AppError("FIELD_INVALID", { message: `${first.field}: ${first.message}`, fields });
}

/**
 * Invariant: a new key holds no more than its maker. A scope of an older version that is no permission any more
 * allows nothing, so it does not prevent a rotation.
 */
export function requireHeldScopes(scopes: readonly string[], { principal }: CallContext): void {
  // The dispatcher lets other callers call neither method that makes keys.
  if (!("permissions" in principal)) throw new AppError("PERMISSION_DENIED");
  const { permissions } = principal;
  const missing = scopes.filter((scope) => isScope(scope) && !permissions.has(scope));
  if (missing.length === 0) return;
  throw new AppError("PERMISSION_DENIED", {
    message: "A key can only be given scopes that the credential making it holds.",
    details: { missing_scopes: missing.join(" ").slice(0, 1_000) },
  });
}

function isScope(text: string): boolean {
  return text === EVERY_PERMISSION || isPermission(text);
}
