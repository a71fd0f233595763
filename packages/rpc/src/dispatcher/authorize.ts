// Checks the caller against the method's policy option.
import type { Principal } from "@muster/authz";
import { Access, type MethodPolicy } from "@muster/contracts/muster/options/v1/options_pb";
import { AppError } from "@muster/errors";
import type { Before } from "./interceptor.ts";
import { requireStepUp, type StepUpDeps } from "./step-up.ts";

export type AuthorizeDeps = StepUpDeps;

export function authorize(deps: AuthorizeDeps): Before {
  return {
    async before(call) {
      call.caller = await requireAllowed(deps, call.plan.policy, call.options.headers, call.principal);
    },
  };
}

/** Resolves to the caller as verified last. Rejects where the policy does not allow the caller. */
export async function requireAllowed(
  deps: AuthorizeDeps,
  policy: MethodPolicy,
  headers: ReadonlyMap<string, string>,
  caller: Principal,
): Promise<Principal> {
  assertAllowed(policy, caller);
  if (policy.stepUp !== true || caller.kind !== "user") return caller;
  const renewed = await requireStepUp(deps, headers, caller);
  assertAllowed(policy, renewed);
  return renewed;
}

/** Throws PERMISSION_DENIED or ORGANIZATION_REQUIRED where the policy does not allow the caller. */
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
      if (caller.kind === "user") return;
      throw denied("Only a signed-in user may call this.");
    default:
      throw denied("This kind of caller may not call this.");
  }
}

function assertPermitted(permission: string, caller: Principal): void {
  if (caller.kind === "user" && caller.organizationId === undefined) {
    throw new AppError("ORGANIZATION_REQUIRED");
  }
  if (!("permissions" in caller) || !caller.permissions.has(permission)) {
    throw new AppError("PERMISSION_DENIED", { details: { permission } });
  }
}

function denied(message: string): AppError {
  return new AppError("PERMISSION_DENIED", { message });
}
