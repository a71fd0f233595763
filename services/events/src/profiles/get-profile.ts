// GetProfile returns the visible profile for the id of a root profile or a merged profile.
import type { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { getProfileGroup } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile } from "../identity-graph/profile-group.ts";
import { requireProfileId } from "../profile-storage/require-profile-id.ts";
import { profileSelection } from "./selected-profile.ts";

export function getProfile(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.getProfile> {
  return async (request, context) => {
    const profileId = requireProfileId(request.profileId);
    const toMessage = profileSelection(request.fields);
    const group = await getProfileGroup(deps.database.reader, context.organizationId, profileId);
    if (group === undefined) throw new AppError("PROFILE_NOT_FOUND");
    return { profile: toMessage(effectiveProfile(group)) };
  };
}
