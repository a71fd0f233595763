// Reads the root profile that a path names by any profile id of the caller's organization.
import type { Profile } from "@muster/contracts/muster/events/v1/profile_pb";
import { isUuid, type ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { type CallContext, onBehalfOf } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";

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
export interface RootProfileRead<Result> {
  readonly result: Result;
  /** Whether the profile has stored state. */
  readonly hasState: boolean;
}

/**
 * Reads the root profile that a path names. A profile that was merged while the read waited has no stored
 * state. Then the read is repeated with the new root profile.
 */
export async function readRootProfile<Result>(
  deps: SegmentsDeps,
  context: CallContext,
  profileId: string,
  read: (profile: Profile) => Promise<RootProfileRead<Result>>,
): Promise<Result> {
  for (let profile = await findProfile(deps, context, profileId); ; ) {
    const { result, hasState } = await read(profile);
    if (hasState || context.eventual) return result;
    const now = await findProfile(deps, context, profileId);
    if (now.id === profile.id) return result;
    profile = now;
  }
}
