// Declares how a kind of credential is recognized and looked up in identity.
import type { ApiKeyId, OrganizationId } from "@muster/core";
import { isApiKey } from "./api-key.ts";
import type { CredentialPrincipal } from "./principal.ts";
import { permissionsOf } from "./roles/permissions.ts";
import type { Role } from "./roles/role.ts";

/** Why a credential is refused. */
export type Refusal = "UNAUTHENTICATED" | "SESSION_ENDED";

/** The result of a look-up. */
export type Finding = ValidCredential | { readonly refusal: Refusal };

/** A valid credential as stored by identity. */
export interface ValidCredential {
  readonly principal: CredentialPrincipal;
  /** The ids that end the credential when they are announced, and the refusal that follows. */
  readonly endedBy: ReadonlyMap<string, Refusal>;
  /** The end of the credential and of every stream that it opened, and the refusal that follows. */
  readonly end: { readonly timeMs: number | undefined; readonly refusal: Refusal };
}

/** Recognizes and looks up one kind of credential. */
export interface CredentialLookup {
  /** Whether the text has the form of this kind; saves looking other texts up. */
  hasForm(text: string): boolean;
  /** Whether the text contains a time of expiry that has passed; saves a look-up. An open stream may outlive the text. */
  hasExpired(text: string): boolean;
  /**
   * Ignores the time of expiry, because findings are cached and the caller compares times. `digest` is the SHA-256 of the text. Rejects
   * when identity is unreachable.
   */
  find(text: string, digest: Buffer): Promise<Finding>;
}

/** A valid key as stored by identity. */
export interface ApiKeyRecord {
  readonly id: ApiKeyId;
  readonly organizationId: OrganizationId;
  readonly scopes: readonly string[];
  /** Epoch ms; undefined means never. */
  readonly expireTimeMs: number | undefined;
  /** The role that ranks the key; undefined ranks it as a member. */
  readonly grantUpTo: Role | undefined;
}

/**
 * Finds a key by its hash. Undefined only when identity has no such valid key; rejects when identity is
 * unreachable.
 */
export type ApiKeyLookup = (keyHash: Uint8Array) => Promise<ApiKeyRecord | undefined>;

export const UNAUTHENTICATED = { refusal: "UNAUTHENTICATED" } as const satisfies Finding;

/** API keys, found by their hash. */
export function apiKeyCredentials(lookup: ApiKeyLookup): CredentialLookup {
  return {
    hasForm: isApiKey,
    hasExpired: () => false,
    async find(_text, digest) {
      const record = await lookup(digest);
      if (record === undefined) return UNAUTHENTICATED;
      const { id, organizationId, scopes, expireTimeMs, grantUpTo } = record;
      const permissions = permissionsOf(scopes);
      return {
        principal: { kind: "api_key", id, organizationId, permissions, grantUpTo, expireTimeMs },
        endedBy: new Map<string, Refusal>([
          [id, "UNAUTHENTICATED"],
          [organizationId, "UNAUTHENTICATED"],
        ]),
        end: { timeMs: expireTimeMs, refusal: "UNAUTHENTICATED" },
      };
    },
  };
}
