// Declares the callers that a service distinguishes, and the ports that verify them.
import type { OrganizationId } from "@muster/core";

export type Principal = AnonymousPrincipal | ApiKeyPrincipal | DemoPrincipal | ServicePrincipal;

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
  /** Epoch ms; undefined means never. */
  readonly expireTimeMs?: number | undefined;
}

/** A local caller without credentials, acting for the demo organization (embedded mode only). */
export interface DemoPrincipal {
  readonly kind: "demo";
  readonly id: "demo";
  readonly organizationId: OrganizationId;
  readonly permissions: Permissions;
}

/** Another service of the installation; only internal methods accept it. */
export interface ServicePrincipal {
  readonly kind: "service";
  /** The service's name, such as "segments". */
  readonly id: string;
  readonly organizationId?: undefined;
}

/** The scopes of a credential; "*" holds every permission. */
export interface Permissions {
  has(permission: string): boolean;
}

/** Looks API keys up. */
export interface ApiKeyVerifier {
  /** Undefined when the key is unknown, revoked or expired; rejects when that cannot be decided now. */
  verify(key: string, options?: VerifyOptions): Promise<ApiKeyPrincipal | undefined>;
  /**
   * Calls the listener with the id of a key that may have ended, or with undefined when any key may have. The
   * returned function ends the subscription.
   */
  onChange(listener: (id: string | undefined) => void): () => void;
}

export interface VerifyOptions {
  /** The verification must be recent: none from a cache serves while identity is unreachable. */
  readonly sensitive?: boolean;
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
