// Lists the handlers of ProfileService.
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { createProfile } from "./create-profile.ts";
import { getProfile } from "./get-profile.ts";
import { listProfiles } from "./list-profiles.ts";
import { mergeProfile } from "./merge-profile.ts";
import { unmergeProfile } from "./unmerge-profile.ts";
import { updateProfile } from "./update-profile.ts";

/** Binds every RPC of ProfileService to the handler. */
export function profileService(deps: EventsDeps): ServiceImplementation {
  return implement(ProfileService, {
    createProfile: createProfile(deps),
    getProfile: getProfile(deps),
    listProfiles: listProfiles(deps),
    updateProfile: updateProfile(deps),
    mergeProfile: mergeProfile(deps),
    unmergeProfile: unmergeProfile(deps),
  });
}
