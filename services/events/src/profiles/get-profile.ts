// GetProfile: reads one profile.
import type { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { profileToProto, requireProfileId } from "./profile-proto.ts";
import { getProfile as readProfile } from "./profile-store.ts";

export function getProfile(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.getProfile> {
  return async (request, context) => {
    const profileId = requireProfileId(request.profileId);
    const profile = await readProfile(deps.database.reader, context.organizationId, profileId);
    if (profile === undefined) throw new AppError("PROFILE_NOT_FOUND");
    return { profile: profileToProto(profile) };
  };
}
