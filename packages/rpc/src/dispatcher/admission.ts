// Authenticates and authorizes a caller by the headers of a request, before any byte of the body is read.
import type { DescMethod } from "@bufbuild/protobuf";
import { getOption } from "@bufbuild/protobuf";
import type { Principal } from "@muster/authz";
import { policy } from "@muster/contracts/muster/options/v1/options_pb";
import { type AuthenticateDeps, identifyCaller } from "./authenticate.ts";
import { type AuthorizeDeps, requireAllowed } from "./authorize.ts";

/** The service checks the caller again, so an admission protects the body's reader and nothing else. */
export interface Admission {
  /** Rejects with UNAUTHENTICATED or PERMISSION_DENIED; `headers` is the request's metadata. */
  admit(method: DescMethod, headers: ReadonlyMap<string, string>): Promise<Principal>;
}

/** Decides with the rules of the dispatcher. */
export function createAdmission(deps: AuthenticateDeps & AuthorizeDeps): Admission {
  return {
    async admit(method, headers) {
      const methodPolicy = getOption(method, policy);
      const caller = await identifyCaller(deps, methodPolicy, headers);
      return requireAllowed(deps, methodPolicy, headers, caller);
    },
  };
}
