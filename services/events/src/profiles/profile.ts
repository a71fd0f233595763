// What a profile is and which identities lead to it. Pure.
import type { OrganizationId, ProfileId } from "@muster/core";

export interface Profile {
  readonly organizationId: OrganizationId;
  readonly id: ProfileId;
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  /** As written; {@link identitiesOf} lower-cases it. */
  readonly email: string | undefined;
  readonly name: string | undefined;
  /** A JSON object. */
  readonly traits: string;
  readonly createMs: number;
  readonly updateMs: number;
}

/** Which profile an identity leads to, and which one stands for the person: itself, unless it was merged. */
export interface ProfileLink {
  readonly profileId: ProfileId;
  readonly rootId: ProfileId;
}

/** What a person can be asked for, and may get from a profile that was merged. */
export type ProfileField = "userId" | "anonymousId" | "email" | "name" | "traits";

/** Where a merged profile hangs. */
export interface MergedInto {
  readonly parentId: ProfileId;
  /** The end of the way from parent to parent. */
  readonly rootId: ProfileId;
  /** Rises with every merge into the same parent: the order in which they fill what it lacks. */
  readonly atMs: number;
}

/** A profile as stored, which may be one of several of a person. */
export interface StoredProfile extends Profile {
  /** Undefined: it stands for the person. */
  readonly mergedInto: MergedInto | undefined;
  /** Fields that were set for the person as a whole: what was merged up to that instant no longer fills them. */
  readonly settled: Readonly<Partial<Record<ProfileField, number>>>;
}

/** How each kind is stored. Invariant: never changes, for rows are kept by it. */
export const identityKindNumbers = { user_id: 1, anonymous_id: 2, email: 3 } as const;
export type IdentityKind = keyof typeof identityKindNumbers;

/** What no two profiles of an organisation share; also the field's name in errors. */
export interface Identity {
  readonly kind: IdentityKind;
  /** In the form that is compared. */
  readonly value: string;
}

export function identitiesOf(profile: {
  readonly userId?: string | undefined;
  readonly anonymousId?: string | undefined;
  readonly email?: string | undefined;
}): Identity[] {
  const identities: Identity[] = [];
  if (profile.userId !== undefined) identities.push({ kind: "user_id", value: profile.userId });
  if (profile.anonymousId !== undefined)
    identities.push({ kind: "anonymous_id", value: profile.anonymousId });
  if (profile.email !== undefined) identities.push({ kind: "email", value: emailKey(profile.email) });
  return identities;
}

/** Emails compare case-insensitively. */
function emailKey(email: string): string {
  return email.toLowerCase();
}

/** The profile that an event makes of a person nobody has seen before. */
export function profileOfIdentity(
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
