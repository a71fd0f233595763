// Returns the permissions of the caller of a public method.
import type { Permissions } from "@muster/authz";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";

export function permissionsOfCaller({ principal }: CallContext): Permissions {
  // The dispatcher lets services call internal methods only.
  if (!("permissions" in principal)) throw new AppError("PERMISSION_DENIED");
  return principal.permissions;
}
