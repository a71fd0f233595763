// Converts the traits of an identify call to field changes. The traits email and name may become profile
// fields.
import { create } from "@bufbuild/protobuf";
import { CreateProfileRequestSchema } from "@muster/contracts/muster/events/v1/profile_service_pb";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { validateMessage } from "@muster/rpc";
import { effectiveProfile, type ProfileGroup } from "../identity-graph/profile-group.ts";
import { changeTraits, removesTraits, TRAITS_BYTES_MAX, withTrait } from "../identity-graph/traits.ts";
import type { ProfileFieldChanges } from "../identity-graph/update-profile-group.ts";
import { findOwner } from "../profile-storage/identity-store.ts";
import { identitiesOf } from "../profile-storage/profile.ts";
import type { IdentifyClaim } from "./identity-claim.ts";

/** Throws FIELD_INVALID if the group would exceed the trait limit of a profile. */
export async function changesFromTraits(
  trx: Transaction,
  group: ProfileGroup,
  { traits: sent, takesEmail }: IdentifyClaim,
): Promise<ProfileFieldChanges> {
  if (sent === "{}") return {};
  const { email, name } = JSON.parse(sent) as { readonly email?: unknown; readonly name?: unknown };
  const isEmail = takesEmail && typeof email === "string" && (await canUseEmail(trx, group, email));
  // The email becomes a profile field and is removed from the traits.
  const traits = isEmail ? withTrait(sent, "email", "null") : sent;
  const canClearEmail = group.root.userId !== undefined || group.root.anonymousId !== undefined;
  return {
    ...(isEmail && { email }),
    ...(email === null && canClearEmail && { email: undefined }),
    ...((name === null || (typeof name === "string" && isValid({ name }))) && { name: name ?? undefined }),
    ...traitChanges(group, traits),
  };
}

/** Whether the email is valid and no other group has the address. */
async function canUseEmail(trx: Transaction, { root }: ProfileGroup, email: string): Promise<boolean> {
  const [identity] = identitiesOf({ email });
  if (identity === undefined || !isValid({ email })) return false;
  const owner = await findOwner(trx, root.organizationId, identity);
  return owner === undefined || owner.rootId === root.id;
}

/** Whether the value is valid as a profile field. */
function isValid(fields: { readonly email: string } | { readonly name: string }): boolean {
  const request = create(CreateProfileRequestSchema, { userId: "some", ...fields });
  const texts = Object.values(fields);
  return (
    texts.every((text) => text.isWellFormed()) &&
    validateMessage(CreateProfileRequestSchema, request).length === 0
  );
}

/** Sets traits on the root profile only, so that an undone merge also removes the merged profile's traits. */
function traitChanges(group: ProfileGroup, traits: string): ProfileFieldChanges {
  const mergedTraits = effectiveProfile({
    root: { ...group.root, traits: "{}" },
    merged: group.merged,
  }).traits;
  // To remove a trait of a merged profile, the root profile must override all traits of the group.
  const isHiding = removesTraits(mergedTraits, traits);
  const changed = changeTraits(isHiding ? effectiveProfile(group).traits : group.root.traits, traits);
  if (Buffer.byteLength(changed) > TRAITS_BYTES_MAX) throw tooLargeError();
  return isHiding ? { traits: changed } : { addedTraits: traits };
}

/**
 * Returns FIELD_INVALID if the own traits of the root would exceed the limit, whatever the claim links. An
 * early check, so that a batch of such claims costs one transaction.
 */
export function traitsTooLargeError(group: ProfileGroup | undefined, sent: string): AppError | undefined {
  const own = group?.root.traits ?? "{}";
  if (Buffer.byteLength(own) + Buffer.byteLength(sent) <= TRAITS_BYTES_MAX) return undefined;
  const changed = changeTraits(own, withTrait(sent, "email", "null"));
  return Buffer.byteLength(changed) > TRAITS_BYTES_MAX ? tooLargeError() : undefined;
}

function tooLargeError(): AppError {
  const message = `a profile has at most ${TRAITS_BYTES_MAX} bytes of traits`;
  return new AppError("FIELD_INVALID", {
    message: `traits: ${message}`,
    fields: [{ field: "traits", message }],
  });
}
