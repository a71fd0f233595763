// Finds out which client a call comes from, and counts the call against the limit of the client.
import type { ServiceTokenPort } from "@muster/authz";
import { AppError } from "@muster/errors";
import type { RateLimiter } from "@muster/rate-limits";
import type { CallOptions } from "../caller.ts";
import { canonicalAddress } from "../client-address/client-address.ts";
import {
  CLIENT_ADDRESS,
  CLIENT_USER_AGENT,
  type ClientInfo,
  userAgentOf,
} from "../client-address/client-info.ts";
import { assertWithinLimit } from "../client-address/client-limit.ts";
import { SERVICE_TOKEN } from "../metadata.ts";
import { isRestOnly } from "../method-plan.ts";
import type { Before } from "./interceptor.ts";

/** The only service that has clients. */
const GATEWAY = "gateway";

export interface AdmitClientDeps {
  readonly serviceTokens: ServiceTokenPort;
  /** Without a limiter, no call is refused. */
  readonly limiter?: RateLimiter | undefined;
}

/** Precedes `authenticate`, whose cost the limit bounds. The gateway has counted its calls already. */
export function admitClient({ serviceTokens, limiter }: AdmitClientDeps): Before {
  return {
    async before(call) {
      const token = call.options.headers.get(SERVICE_TOKEN);
      const isByGateway = token !== undefined && serviceTokens.verify(token)?.service === GATEWAY;
      // The gateway has no other route to the method than REST; another caller could send fields that differ from the bytes.
      if (isRestOnly(call.method) && !isByGateway) {
        throw new AppError("UNIMPLEMENTED", { message: "This method is served over REST only." });
      }
      call.client = readClient(call.options, isByGateway);
      if (!isByGateway) await assertWithinLimit(limiter, call.plan.policy, call.client.address);
    },
  };
}

/** The client that the gateway names, else the peer of the connection. */
function readClient({ headers, peerAddress }: CallOptions, isByGateway: boolean): ClientInfo {
  return {
    address: canonicalAddress(isByGateway ? headers.get(CLIENT_ADDRESS) : peerAddress),
    userAgent: userAgentOf(headers.get(isByGateway ? CLIENT_USER_AGENT : "user-agent")),
  };
}
