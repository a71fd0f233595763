// Checks the caller against the method's policy option.
import type { Principal } from "@muster/authz";
import type { MethodPolicy } from "@muster/contracts/muster/options/v1/options_pb";
import { AppError } from "@muster/errors";
import type { Before } from "./interceptor.ts";

export function authorize(): Before {
  return { before: (call) => assertAllowed(call.plan.policy, call.principal) };
}

/** Throws PERMISSION_DENIED where the policy does not allow the caller. */
export function assertAllowed(policy: MethodPolicy, caller: Principal): void {
  if (policy.internal) {
    if (caller.kind !== "service" || !policy.callers.includes(caller.id)) {
      throw new AppError("PERMISSION_DENIED", {
        message: "Only services of the installation may call this.",
      });
    }
    return;
  }
  if (caller.kind === "service" || !caller.permissions.has(policy.permission)) {
    throw new AppError("PERMISSION_DENIED", { details: { permission: policy.permission } });
  }
}
