// Updates fields of a profile group. Fields are set on the root profile and override the merged profiles.
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { sameJson } from "../json/json-object.ts";
import {
  deleteIdentities,
  findOwner,
  insertIdentities,
  moveIdentity,
} from "../profile-storage/identity-store.ts";
import {
  type Identity,
  identitiesOf,
  type ProfileField,
  type ProfileLink,
  type StoredProfile,
} from "../profile-storage/profile.ts";
import { clearIdentityColumn, updateProfileRow } from "../profile-storage/profile-store.ts";
import { effectiveProfile, overrideFields, type ProfileGroup } from "./profile-group.ts";
import { identityTakenError } from "./taken-identities.ts";
import { changeTraits } from "./traits.ts";

/** A present field with the value undefined is cleared. */
export interface ProfileFieldChanges extends Readonly<Partial<Record<ProfileField, string | undefined>>> {
  /** A JSON object: traits to add or replace. Null removes a trait. */
  readonly addedTraits?: string;
}

/**
 * Updates a locked group. An identity of a merged profile moves to the root profile, unless the group already
 * shows the identity. Throws PROFILE_IDENTITY_TAKEN for an identity of another group.
 */
export async function updateProfileGroup(
  trx: Transaction,
  group: ProfileGroup,
  changes: ProfileFieldChanges,
  options: { readonly nowMs: number; readonly fieldPrefix: string },
): Promise<ProfileGroup> {
  const { addedTraits = "{}", ...fields } = changes;
  const changed = changedFields(group, fields);
  const root = applyChanges(group, changed, addedTraits, options.nowMs);
  requireIdentity(group.root, root, changed, options.fieldPrefix);
  const lost = identitiesOf(group.root).filter((identity) => !includes(identitiesOf(root), identity));
  const gained = identitiesOf(root).filter((identity) => !includes(identitiesOf(group.root), identity));
  const merged = await takeOverIdentities(trx, { root, merged: group.merged }, gained, options.fieldPrefix);
  await deleteIdentities(trx, group.root, lost);
  await updateProfileRow(trx, root);
  return { root, merged };
}

/** Returns the fields whose visible value would change. */
function changedFields(
  group: ProfileGroup,
  changes: Omit<ProfileFieldChanges, "addedTraits">,
): Map<ProfileField, string | undefined> {
  const shown = effectiveProfile(group);
  const entries = Object.entries(changes) as [ProfileField, string | undefined][];
  return new Map(
    entries
      .map(([field, value]) => [field, field === "traits" ? (value ?? "{}") : value] as const)
      .filter(([field, value]) =>
        field === "traits" ? !sameJson(shown.traits, value ?? "{}") : shown[field] !== value,
      ),
  );
}

function applyChanges(
  group: ProfileGroup,
  changed: ReadonlyMap<ProfileField, string | undefined>,
  addedTraits: string,
  nowMs: number,
): StoredProfile {
  const { root } = group;
  const overridden = [...changed].filter(([field, value]) => value === undefined || field === "traits");
  return {
    ...root,
    traits: changeTraits(root.traits, addedTraits),
    ...Object.fromEntries(changed),
    overriddenAt: overrideFields(
      group,
      overridden.map(([field]) => field),
      nowMs,
    ),
    // The clock may have been set back since the last update.
    updateMs: Math.max(nowMs, root.updateMs),
  };
}

/** Throws FIELD_INVALID if the update would remove the last identity of the profile. */
function requireIdentity(
  before: StoredProfile,
  after: StoredProfile,
  changed: ReadonlyMap<ProfileField, string | undefined>,
  fieldPrefix: string,
): void {
  if (identitiesOf(after).length > 0 || identitiesOf(before).length === 0) return;
  const message = "one of user_id, anonymous_id and email must remain";
  const names = { userId: "user_id", anonymousId: "anonymous_id", email: "email" } as const;
  const cleared = (["userId", "anonymousId", "email"] as const).filter((field) => changed.has(field));
  throw new AppError("FIELD_INVALID", {
    message,
    fields: cleared.map((field) => ({ field: `${fieldPrefix}${names[field]}`, message })),
  });
}

/** Assigns the identities to the root profile. Returns the merged profiles without the moved identities. */
async function takeOverIdentities(
  trx: Transaction,
  { root, merged }: ProfileGroup,
  gained: readonly Identity[],
  fieldPrefix: string,
): Promise<StoredProfile[]> {
  const owners: { identity: Identity; owner: ProfileLink | undefined }[] = [];
  for (const identity of gained)
    owners.push({ identity, owner: await findOwner(trx, root.organizationId, identity) });
  const taken = owners.filter(({ owner }) => owner !== undefined && owner.rootId !== root.id);
  if (taken.length > 0) {
    throw identityTakenError(
      taken.map(({ identity }) => identity),
      fieldPrefix,
    );
  }
  let remaining = [...merged];
  for (const { identity, owner } of owners) {
    if (owner === undefined) {
      await insertIdentities(trx, [{ profile: root, identity }]);
    } else {
      await moveIdentity(trx, root, identity);
      await clearIdentityColumn(trx, root.organizationId, owner.profileId, identity.kind);
      const field = fieldOf[identity.kind];
      remaining = remaining.map((profile) =>
        profile.id === owner.profileId ? { ...profile, [field]: undefined } : profile,
      );
    }
  }
  return remaining;
}

const fieldOf = { user_id: "userId", anonymous_id: "anonymousId", email: "email" } as const;

function includes(identities: readonly Identity[], sought: Identity): boolean {
  return identities.some(({ kind, value }) => kind === sought.kind && value === sought.value);
}
