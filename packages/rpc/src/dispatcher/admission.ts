// Authenticates and authorizes a caller by the headers of a request, before any byte of the body is read.
import type { DescMethod } from "@bufbuild/protobuf";
import { getOption } from "@bufbuild/protobuf";
import type { Principal } from "@muster/authz";
import { Access, policy } from "@muster/contracts/muster/options/v1/options_pb";
import type { RateLimiter } from "@muster/rate-limits";
import { CLIENT_ADDRESS } from "../client-address/client-info.ts";
import { assertWithinLimit } from "../client-address/client-limit.ts";
import { identifyPartner } from "../partners/authenticate-partner.ts";
import { type AuthenticateDeps, identifyCaller } from "./authenticate.ts";
import { type AuthorizeDeps, requireAllowed } from "./authorize.ts";

/** The service checks the caller again, so an admission protects the body's reader and nothing else. */
export interface Admission {
  /**
   * Rejects with RATE_LIMITED, UNAUTHENTICATED or PERMISSION_DENIED. `headers` is the request's metadata, with the
   * gateway's own. `userId` is the text of the policy's `self_field`, if the path contains the field.
   */
  admit(method: DescMethod, headers: ReadonlyMap<string, string>, userId?: string): Promise<Principal>;
  /** Rejects with UNAUTHENTICATED unless a partner has signed the body of a method for partners. */
  admitBody(method: DescMethod, headers: ReadonlyMap<string, string>, body: Uint8Array): Promise<void>;
}

export interface AdmissionDeps extends AuthenticateDeps, AuthorizeDeps {
  /** Limits of public methods, which the gateway counts for all services. */
  readonly limiter?: RateLimiter | undefined;
}

/** Decides with the rules of the dispatcher. */
export function createAdmission(deps: AdmissionDeps): Admission {
  return {
    async admit(method, headers, userId) {
      const methodPolicy = getOption(method, policy);
      await assertWithinLimit(deps.limiter, methodPolicy, headers.get(CLIENT_ADDRESS) ?? "");
      const caller = await identifyCaller(deps, methodPolicy, headers);
      if (methodPolicy.access === Access.PARTNER) return caller;
      return requireAllowed(deps, methodPolicy, headers, caller, { userId });
    },
    async admitBody(method, headers, body) {
      if (getOption(method, policy).access !== Access.PARTNER) return;
      await identifyPartner(deps, headers, body);
    },
  };
}
