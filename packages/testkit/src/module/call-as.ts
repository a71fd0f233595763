// CallAs names the caller of a method in tests.
import { type ApiKeyPrincipal, type ApiKeyVerifier, permissionsOf } from "@muster/authz";
import type { OrganizationId } from "@muster/core";

export interface CallAs {
  /** The organization of the API key; without an organization the call brings no API key. */
  readonly organizationId?: OrganizationId | undefined;
  /** Permissions of the API key; every permission if absent. */
  readonly scopes?: readonly string[] | undefined;
  /** An API key as text, in place of `organizationId` and `scopes`. */
  readonly key?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  /** The name of a calling service of the installation, for internal methods. */
  readonly service?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An API key that contains organization and permissions, so that verifying needs no database. */
export function apiKeyText(organizationId: OrganizationId, scopes: readonly string[] = ["*"]): string {
  return `${organizationId}:${scopes.join("+")}`;
}

/** Accepts the texts of {@link apiKeyText}, which never end. */
export const apiKeyTexts: ApiKeyVerifier = { verify: verifyApiKeyText, onChange: () => () => {} };

async function verifyApiKeyText(text: string): Promise<ApiKeyPrincipal | undefined> {
  const [organizationId, scopes] = text.split(":");
  if (organizationId === undefined || scopes === undefined) return undefined;
  return {
    kind: "api_key",
    id: organizationId,
    organizationId: organizationId as OrganizationId,
    permissions: permissionsOf(scopes.split("+")),
  };
}
