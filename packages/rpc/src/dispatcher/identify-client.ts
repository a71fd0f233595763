// Finds out which client a call comes from.
import type { ServiceTokenPort } from "@muster/authz";
import type { CallOptions } from "../caller.ts";
import { canonicalAddress } from "../client-address/client-address.ts";
import {
  CLIENT_ADDRESS,
  CLIENT_USER_AGENT,
  type ClientInfo,
  userAgentOf,
} from "../client-address/client-info.ts";
import { SERVICE_TOKEN } from "../metadata.ts";
import type { Before } from "./interceptor.ts";

/** The only service that has clients. */
const GATEWAY = "gateway";

export function identifyClient({ serviceTokens }: { readonly serviceTokens: ServiceTokenPort }): Before {
  return {
    before(call) {
      const token = call.options.headers.get(SERVICE_TOKEN);
      call.isByGateway = token !== undefined && serviceTokens.verify(token)?.service === GATEWAY;
      call.client = readClient(call.options, call.isByGateway);
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
