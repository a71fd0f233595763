// Checks the caller against the method's policy option.
import type { Principal } from "@muster/authz";
import { Access, type MethodPolicy } from "@muster/contracts/muster/options/v1/options_pb";
import { AppError } from "@muster/errors";
import type { Before } from "./interceptor.ts";

export function authorize(): Before {
  return { before: (call) => assertAllowed(call.plan.policy, call.principal) };
}

/** Throws PERMISSION_DENIED where the policy does not allow the caller. */
export function assertAllowed(policy: MethodPolicy, caller: Principal): void {
  switch (policy.access) {
    case Access.PUBLIC:
      return;
    case Access.PERMISSION:
      assertPermitted(policy.permission, caller);
      return;
    case Access.INTERNAL:
      if (caller.kind === "service" && policy.callers.includes(caller.id)) return;
      throw denied("Only services of the installation may call this.");
    case Access.PERSON:
      throw denied("Only a signed-in user may call this.");
    default:
      throw denied("This kind of caller may not call this.");
  }
}

function assertPermitted(permission: string, caller: Principal): void {
  if (!("permissions" in caller) || !caller.permissions.has(permission)) {
    throw new AppError("PERMISSION_DENIED", { details: { permission } });
  }
}

function denied(message: string): AppError {
  return new AppError("PERMISSION_DENIED", { message });
}
