// The person that a path names by any of its profiles, in the caller's organisation.
import type { Profile } from "@muster/contracts/muster/events/v1/profile_pb";
import { isUuid, type ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { type CallContext, onBehalfOf } from "@muster/rpc";
import type { SegmentsDeps } from "../deps.ts";

/** The profile that stands for the person. PROFILE_NOT_FOUND when the organisation has none of this id. */
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

/** What a read found out about a person. */
export interface PersonRead<Answer> {
  readonly answer: Answer;
  /** Something is kept of the profile. */
  readonly isKept: boolean;
}

/**
 * Reads of the person that a path names. Of one that was merged while the read waited nothing is kept: it is read
 * again, by who stands for it then.
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
