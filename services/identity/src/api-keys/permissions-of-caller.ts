// What the caller of a public method may do.
import type { Permissions } from "@muster/authz";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";

export function permissionsOfCaller({ principal }: CallContext): Permissions {
  // Services call internal methods only; the dispatcher sees to that.
  if (principal.kind === "service") throw new AppError("PERMISSION_DENIED");
  return principal.permissions;
}
