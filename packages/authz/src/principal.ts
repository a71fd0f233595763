// Declares the callers that a service distinguishes, and the ports that verify them.
import type { OrganizationId, PartnerId, SessionId, SigningKeyId, UserId } from "@muster/core";
import type { Permissions } from "./roles/permissions.ts";
import type { Role } from "./roles/role.ts";

export type Principal =
  | AnonymousPrincipal
  | ApiKeyPrincipal
  | UserPrincipal
  | DemoPrincipal
  | PartnerPrincipal
  | ServicePrincipal;

/** A caller with a credential in the Authorization header. */
export type CredentialPrincipal = ApiKeyPrincipal | UserPrincipal;

/** Whoever calls a public method; credentials are ignored there. */
export interface AnonymousPrincipal {
  readonly kind: "anonymous";
  readonly id: "anonymous";
  readonly organizationId?: undefined;
}

/** An API key of an organization. */
export interface ApiKeyPrincipal {
  readonly kind: "api_key";
  /** The key's id: the scope of its idempotency keys. */
  readonly id: string;
  readonly organizationId: OrganizationId;
  readonly permissions: Permissions;
  /** The role up to which the key grants roles; undefined ranks the key as a member. */
  readonly grantUpTo?: Role | undefined;
  /** Epoch ms; undefined means never. */
  readonly expireTimeMs?: number | undefined;
}

/** A signed-in user, by the access token of a session. */
export interface UserPrincipal {
  readonly kind: "user";
  readonly id: UserId;
  readonly sessionId: SessionId;
  /** The organization of the session; a user without one calls methods for the person only. */
  readonly organizationId: OrganizationId | undefined;
  /** The role in the organization of the session. */
  readonly role: Role | undefined;
  /** The permissions of the role; none without an organization. */
  readonly permissions: Permissions;
  /** Epoch ms of the last password or second factor entered in the session. */
  readonly authenticatedMs: number | undefined;
  /** How the user can authenticate again: some of "password", "totp" and "backup_code". */
  readonly stepUpMethods: readonly string[];
  /** The organization requires a second factor, and the user has none. */
  readonly needsSecondFactor: boolean;
  /** The key that signed the access token. */
  readonly signingKeyId: SigningKeyId;
  /** Epoch ms: the `exp` of the access token. */
  readonly expireTimeMs: number;
}

/** A local caller without credentials, acting for the demo organization (embedded mode only). */
export interface DemoPrincipal {
  readonly kind: "demo";
  readonly id: "demo";
  readonly organizationId: OrganizationId;
  readonly permissions: Permissions;
}

/** A provisioning partner, who signs requests. Belongs to no organization. */
export interface PartnerPrincipal {
  readonly kind: "partner";
  readonly id: PartnerId;
  readonly organizationId?: undefined;
}

/** Another service of the installation; only internal methods accept it. */
export interface ServicePrincipal {
  readonly kind: "service";
  /** The service's name, such as "segments". */
  readonly id: string;
  readonly organizationId?: undefined;
}

/** Verifies API keys and access tokens. */
export interface CredentialVerifier {
  /**
   * Undefined when the credential is unknown, revoked or expired. Rejects with SESSION_ENDED for a token of an ended
   * session, and with another error when the credential cannot be verified now.
   */
  verify(credential: string, options?: VerifyOptions): Promise<CredentialPrincipal | undefined>;
  /**
   * Calls the listener with an id of a credential that may have ended, or with undefined when any credential may have.
   * {@link dependsOn} compares the id with a principal. The returned function ends the subscription.
   */
  onChange(listener: (id: string | undefined) => void): () => void;
}

export interface VerifyOptions {
  /** The verification must be recent: none from a cache serves while identity is unreachable. */
  readonly sensitive?: boolean;
  /** The verification begins with this call: no cached one serves. */
  readonly renew?: boolean;
  /** The credential was valid when a stream began: an access token counts until its session ends. */
  readonly isStreaming?: boolean;
}

/** Whether the credential of the principal may end when this id is announced. */
export function dependsOn(principal: CredentialPrincipal, id: string): boolean {
  if (principal.id === id || principal.organizationId === id) return true;
  return principal.kind === "user" && (principal.sessionId === id || principal.signingKeyId === id);
}

/** Signs and verifies the short-lived tokens by which services authenticate to each other. */
export interface ServiceTokenPort {
  /** A token of this service, valid about a minute; cached. With `actAsDemo` only the gateway's. */
  mint(options?: { readonly actAsDemo?: boolean }): string;
  verify(token: string): ServiceTokenClaims | undefined;
}

export interface ServiceTokenClaims {
  readonly service: string;
  /** The gateway has verified that the caller may act for the demo organization. */
  readonly actAsDemo: boolean;
}
