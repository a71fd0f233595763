// Authenticates the caller: an API key, another service, or a local caller acting for the demo organization.
import type { ApiKeyVerifier, DemoPrincipal, Principal, ServiceTokenPort } from "@muster/authz";
import type { OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import { AUTHORIZATION, SERVICE_TOKEN } from "../metadata.ts";
import type { Call } from "./call.ts";
import { apiKeyFrom } from "./credentials.ts";
import type { Before } from "./interceptor.ts";

/** The only service whose tokens may mark a caller as local. */
const GATEWAY = "gateway";

export interface AuthenticateDeps {
  readonly apiKeys: ApiKeyVerifier;
  readonly serviceTokens: ServiceTokenPort;
  readonly demoOrganizationId: OrganizationId | undefined;
}

export function authenticate(deps: AuthenticateDeps): Before {
  return {
    async before(call) {
      const { headers } = call.options;
      const authorization = headers.get(AUTHORIZATION);
      const token = headers.get(SERVICE_TOKEN);
      if (authorization !== undefined) call.caller = await byApiKey(deps, call, authorization);
      else if (token !== undefined) call.caller = byServiceToken(deps, call, token);
      if (call.caller === undefined) throw new AppError("UNAUTHENTICATED");
    },
  };
}

async function byApiKey(
  { apiKeys }: AuthenticateDeps,
  call: Call,
  authorization: string,
): Promise<Principal | undefined> {
  const key = apiKeyFrom(authorization);
  const { sensitive } = call.plan.policy;
  return key === undefined ? undefined : apiKeys.verify(key, { sensitive });
}

function byServiceToken(deps: AuthenticateDeps, call: Call, token: string): Principal | undefined {
  const claims = deps.serviceTokens.verify(token);
  if (claims === undefined) return undefined;
  const { policy } = call.plan;
  if (policy.internal) {
    // A token for the demo organization stands for the local caller, never for the gateway itself.
    return claims.actAsDemo ? undefined : { kind: "service", id: claims.service };
  }
  const isDemo = claims.actAsDemo && claims.service === GATEWAY && policy.anonymousDemo;
  return isDemo && deps.demoOrganizationId !== undefined
    ? demoPrincipal(deps.demoOrganizationId, policy.permission)
    : undefined;
}

/** Holds only the permission of the called method. */
function demoPrincipal(organizationId: OrganizationId, permission: string): DemoPrincipal {
  return {
    kind: "demo",
    id: "demo",
    organizationId,
    permissions: { has: (requested) => requested === permission },
  };
}
