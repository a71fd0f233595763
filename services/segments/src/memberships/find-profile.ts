// Reads the root profile that a path names by any profile id of the caller's organization.
import type { Profile } from "@muster/contracts/muster/events/v1/profile_pb";
import { isUuid, type ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { type CallContext, onBehalfOf } from "@muster/rpc";
import type { SegmentsDeps } from "../deps.ts";

/** Returns the root profile. Throws PROFILE_NOT_FOUND if the organization has no profile with this id. */
async function findProfile(
  { feed }: SegmentsDeps,
  context: CallContext,
  profileId: string,
): Promise<Profile> {
  if (!isUuid(profileId)) throw new AppError("PROFILE_NOT_FOUND");
  const found = await feed.profiles(context.organizationId, [profileId as ProfileId], onBehalfOf(context));
  const [profile] = found.values();
  if (profile === undefined) throw new AppError("PROFILE_NOT_FOUND");
  return profile;
}

/** The result of a read of one root profile. */
export interface PersonRead<Answer> {
  readonly answer: Answer;
  /** Whether the profile has stored state. */
  readonly isKept: boolean;
}

/**
 * Reads the root profile that a path names. A profile that was merged while the read waited has no stored
 * state. Then the read is repeated with the new root profile.
 */
export async function readPerson<Answer>(
  deps: SegmentsDeps,
  context: CallContext,
  profileId: string,
  read: (profile: Profile) => Promise<PersonRead<Answer>>,
): Promise<Answer> {
  for (let profile = await findProfile(deps, context, profileId); ; ) {
    const { answer, isKept } = await read(profile);
    if (isKept || context.eventual) return answer;
    const now = await findProfile(deps, context, profileId);
    if (now.id === profile.id) return answer;
    profile = now;
  }
}
