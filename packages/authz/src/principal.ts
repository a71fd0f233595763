// Who is calling, as every service sees it.
import type { OrganizationId } from "@muster/core";

export type Principal = ApiKeyPrincipal | DemoPrincipal | ServicePrincipal;

/** An API key of an organisation. */
export interface ApiKeyPrincipal {
  readonly kind: "api_key";
  /** The key's id: the scope of its idempotency keys. */
  readonly id: string;
  readonly organizationId: OrganizationId;
  readonly permissions: Permissions;
}

/** A local caller without credentials, acting for the demo organisation (embedded mode only). */
export interface DemoPrincipal {
  readonly kind: "demo";
  readonly id: "demo";
  readonly organizationId: OrganizationId;
  readonly permissions: Permissions;
}

/** Another service of the installation; only internal methods take it. */
export interface ServicePrincipal {
  readonly kind: "service";
  /** The service's name, such as "segments". */
  readonly id: string;
}

/** The scopes of a credential; "*" holds every permission. */
export interface Permissions {
  has(permission: string): boolean;
}

/** Looks an API key up. Undefined when nobody issued it, or it was revoked or has expired. */
export interface ApiKeyVerifier {
  verify(key: string): Promise<ApiKeyPrincipal | undefined>;
}

/** Signs and checks the short-lived tokens by which services know one another. */
export interface ServiceTokenPort {
  /** A token of this service, valid about a minute; cached. With `actAsDemo` only the gateway's. */
  mint(options?: { readonly actAsDemo?: boolean }): string;
  verify(token: string): ServiceTokenClaims | undefined;
}

export interface ServiceTokenClaims {
  readonly service: string;
  /** The gateway has established that the caller may act for the demo organisation. */
  readonly actAsDemo: boolean;
}
