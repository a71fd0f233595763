// Checks the caller against the method's policy option.
import { AppError } from "@muster/errors";
import type { Before } from "./interceptor.ts";

export function authorize(): Before {
  return {
    before(call) {
      const { policy } = call.plan;
      const caller = call.principal;
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
    },
  };
}
