// Authenticates the caller: an API key, a user, another service, or a local caller acting for the demo organization.
import type {
  AnonymousPrincipal,
  CredentialVerifier,
  DemoPrincipal,
  Principal,
  ServiceTokenPort,
} from "@muster/authz";
import { Access, type MethodPolicy } from "@muster/contracts/muster/options/v1/options_pb";
import type { OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import { AUTHORIZATION, SERVICE_TOKEN } from "../metadata.ts";
import {
  identifyPartner,
  type PartnerDeps,
  partnerHeaders,
  rawBodyOf,
} from "../partners/authenticate-partner.ts";
import type { Call } from "./call.ts";
import { credentialFrom } from "./credentials.ts";
import type { Before } from "./interceptor.ts";

/** The only service whose tokens may mark a caller as local. */
const GATEWAY = "gateway";

const ANONYMOUS: AnonymousPrincipal = { kind: "anonymous", id: "anonymous" };

export interface AuthenticateDeps extends PartnerDeps {
  readonly credentials: CredentialVerifier;
  readonly serviceTokens: ServiceTokenPort;
  readonly demoOrganizationId: OrganizationId | undefined;
}

export function authenticate(deps: AuthenticateDeps): Before {
  return {
    async before(call) {
      const { plan, options } = call;
      call.caller = isOfPartners(plan.policy)
        ? await identifyPartner(deps, options.headers, signedBody(call))
        : await identifyCaller(deps, plan.policy, options.headers);
    },
  };
}

function isOfPartners({ access }: MethodPolicy): boolean {
  return access === Access.PARTNER;
}

/** The message is small, and is not validated yet. */
function signedBody({ source }: Call): Uint8Array {
  return "decode" in source ? rawBodyOf(source.decode()) : new Uint8Array();
}

/**
 * Throws UNAUTHENTICATED where the metadata has no valid credential for a method of this policy. A public method
 * ignores credentials, so that an expired one does not fail the call. A partner counts as anonymous until the body is
 * read, and the headers alone are checked.
 */
export async function identifyCaller(
  deps: AuthenticateDeps,
  policy: MethodPolicy,
  headers: ReadonlyMap<string, string>,
): Promise<Principal> {
  if (policy.access === Access.PUBLIC) return identifyAnyone(deps, policy, headers);
  if (isOfPartners(policy)) {
    partnerHeaders(headers);
    return ANONYMOUS;
  }
  const authorization = headers.get(AUTHORIZATION);
  const token = headers.get(SERVICE_TOKEN);
  let caller: Principal | undefined;
  if (authorization !== undefined) caller = await byCredential(deps, policy, authorization);
  else if (token !== undefined) caller = byServiceToken(deps, policy, token);
  if (caller === undefined) throw new AppError("UNAUTHENTICATED");
  return caller;
}

/** The user of a valid access token where the method reads one; otherwise nobody in particular. */
async function identifyAnyone(
  { credentials }: AuthenticateDeps,
  { readsAccessToken, sensitive = false }: MethodPolicy,
  headers: ReadonlyMap<string, string>,
): Promise<Principal> {
  const authorization = readsAccessToken ? headers.get(AUTHORIZATION) : undefined;
  const credential = authorization === undefined ? undefined : credentialFrom(authorization);
  if (credential === undefined) return ANONYMOUS;
  try {
    const caller = await credentials.verify(credential, { sensitive });
    return caller?.kind === "user" ? caller : ANONYMOUS;
  } catch (error) {
    if (error instanceof AppError && error.reason === "SESSION_ENDED") return ANONYMOUS;
    throw error;
  }
}

async function byCredential(
  { credentials }: AuthenticateDeps,
  { sensitive = false }: MethodPolicy,
  authorization: string,
): Promise<Principal | undefined> {
  const credential = credentialFrom(authorization);
  return credential === undefined ? undefined : credentials.verify(credential, { sensitive });
}

function byServiceToken(deps: AuthenticateDeps, policy: MethodPolicy, token: string): Principal | undefined {
  const claims = deps.serviceTokens.verify(token);
  if (claims === undefined) return undefined;
  if (policy.access === Access.INTERNAL) {
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
