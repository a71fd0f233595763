// Declares the profile and its identities. Pure.
import { canonicalEmail, type OrganizationId, type ProfileId } from "@muster/core";

/** A profile with its identities and traits. */
export interface Profile {
  readonly organizationId: OrganizationId;
  readonly id: ProfileId;
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  /** As written; {@link identitiesOf} converts the email to lower case. */
  readonly email: string | undefined;
  readonly name: string | undefined;
  /** A JSON object. */
  readonly traits: string;
  readonly createMs: number;
  readonly updateMs: number;
}

/** The profile that owns an identity, and the root of this profile. An unmerged profile is its own root. */
export interface ProfileLink {
  readonly profileId: ProfileId;
  readonly rootId: ProfileId;
}

/** A visible field of a root profile that a merged profile may fill. */
export type ProfileField = "userId" | "anonymousId" | "email" | "name" | "traits";

/** The link of a merged profile. */
export interface MergedInto {
  readonly parentId: ProfileId;
  /** The end of the chain of parents. */
  readonly rootId: ProfileId;
  /** Epoch ms; increases with every merge into the same parent. Merged profiles fill fields in this order. */
  readonly atMs: number;
}

/** A stored profile: a root profile or a merged profile. */
export interface StoredProfile extends Profile {
  /** Undefined for a root profile. */
  readonly mergedInto: MergedInto | undefined;
  /** Epoch ms by field: profiles merged up to this time no longer fill the field. */
  readonly overriddenAt: Readonly<Partial<Record<ProfileField, number>>>;
}

/** The stored number of each kind. Invariant: numbers never change, because rows contain them. */
export const identityKindNumbers = { user_id: 1, anonymous_id: 2, email: 3 } as const;
/** The kind of an identity, named like the API field. */
export type IdentityKind = keyof typeof identityKindNumbers;

/** A value that no two profiles of an organization share. `kind` is also the field's name in errors. */
export interface Identity {
  readonly kind: IdentityKind;
  /** In the normalized form that is compared. */
  readonly value: string;
}

/** Returns the identities of a profile in normalized form. */
export function identitiesOf(profile: {
  readonly userId?: string | undefined;
  readonly anonymousId?: string | undefined;
  readonly email?: string | undefined;
}): Identity[] {
  const identities: Identity[] = [];
  if (profile.userId !== undefined) identities.push({ kind: "user_id", value: profile.userId });
  if (profile.anonymousId !== undefined)
    identities.push({ kind: "anonymous_id", value: profile.anonymousId });
  if (profile.email !== undefined) identities.push({ kind: "email", value: canonicalEmail(profile.email) });
  return identities;
}

/** Returns the profile that an event with an unknown identity creates. */
export function newProfileForIdentity(
  organizationId: OrganizationId,
  id: ProfileId,
  identity: { readonly kind: "user_id" | "anonymous_id"; readonly value: string },
  createMs: number,
): Profile {
  return {
    organizationId,
    id,
    userId: identity.kind === "user_id" ? identity.value : undefined,
    anonymousId: identity.kind === "anonymous_id" ? identity.value : undefined,
    email: undefined,
    name: undefined,
    traits: "{}",
    createMs,
    updateMs: createMs,
  };
}
