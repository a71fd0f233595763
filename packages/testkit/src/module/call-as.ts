// CallAs names the caller of a method in tests.
import {
  type ApiKeyPrincipal,
  type CredentialPrincipal,
  type CredentialVerifier,
  permissionsOf,
  permissionsOfRole,
  type Role,
  type UserPrincipal,
} from "@muster/authz";
import type { OrganizationId, SessionId, SigningKeyId, UserId } from "@muster/core";

export interface CallAs {
  /** The organization of the API key; without an organization the call brings no API key. */
  readonly organizationId?: OrganizationId | undefined;
  /** Permissions of the API key; every permission if absent. */
  readonly scopes?: readonly string[] | undefined;
  /** An API key or access token as text, in place of `organizationId` and `scopes`. */
  readonly key?: string | undefined;
  /** A signed-in user, in place of an API key. */
  readonly user?: CallingUser | undefined;
  readonly idempotencyKey?: string | undefined;
  /** The name of a calling service of the installation, for internal methods. */
  readonly service?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CallingUser {
  readonly id: UserId;
  readonly sessionId: SessionId;
  readonly organizationId?: OrganizationId | undefined;
  /** In the organization. */
  readonly role?: Role | undefined;
  /** Epoch ms; absent means that a step-up is due. */
  readonly authenticatedMs?: number | undefined;
}

const USER_PREFIX = "user.";
const NO_SIGNING_KEY = "00000000-0000-7000-8000-000000000000" as SigningKeyId;

/** An API key that contains organization and permissions, so that verifying needs no database. */
export function apiKeyText(organizationId: OrganizationId, scopes: readonly string[] = ["*"]): string {
  return `${organizationId}:${scopes.join("+")}`;
}

/** A token that contains the user, so that verifying needs no database. */
export function userText(user: CallingUser): string {
  return `${USER_PREFIX}${Buffer.from(JSON.stringify(user)).toString("base64url")}`;
}

export function isUserText(text: string): boolean {
  return text.startsWith(USER_PREFIX);
}

/** Accepts the texts of {@link apiKeyText} and {@link userText}, which never end. */
export const credentialTexts: CredentialVerifier = { verify: verifyText, onChange: () => () => {} };

async function verifyText(text: string): Promise<CredentialPrincipal | undefined> {
  return isUserText(text) ? userOf(text.slice(USER_PREFIX.length)) : apiKeyOf(text);
}

function userOf(encoded: string): UserPrincipal {
  const user = JSON.parse(Buffer.from(encoded, "base64url").toString()) as CallingUser;
  return {
    kind: "user",
    id: user.id,
    sessionId: user.sessionId,
    organizationId: user.organizationId,
    role: user.role,
    permissions: user.role === undefined ? permissionsOf([]) : permissionsOfRole(user.role),
    authenticatedMs: user.authenticatedMs,
    stepUpMethods: ["password"],
    needsSecondFactor: false,
    signingKeyId: NO_SIGNING_KEY,
    expireTimeMs: Number.MAX_SAFE_INTEGER,
  };
}

function apiKeyOf(text: string): ApiKeyPrincipal | undefined {
  const [organizationId, scopes] = text.split(":");
  if (organizationId === undefined || scopes === undefined) return undefined;
  return {
    kind: "api_key",
    id: organizationId,
    organizationId: organizationId as OrganizationId,
    permissions: permissionsOf(scopes.split("+")),
  };
}
