// UpdateProfile changes the fields named by the mask, moves identities and publishes the profile.
import type {
  ProfileService,
  UpdateProfileRequest,
} from "@muster/contracts/muster/events/v1/profile_service_pb";
import { AppError } from "@muster/errors";
import { changedPaths, type UnaryHandler } from "@muster/rpc";
import { profileChanged } from "../domain-events/domain-events.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import { identityTransaction } from "../identity-graph/identity-transaction.ts";
import { lockProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile } from "../identity-graph/profile-group.ts";
import { type ProfileFieldChanges, updateProfileGroup } from "../identity-graph/update-profile-group.ts";
import { requireProfileId } from "../profile-storage/require-profile-id.ts";
import { checkProfileFields, profileToProto } from "./profile-proto.ts";

const FIELD_PREFIX = "profile.";
/** Fields of a profile by mask path. */
const FIELDS = {
  user_id: "userId",
  anonymous_id: "anonymousId",
  email: "email",
  name: "name",
  traits: "traits",
} as const;

export function updateProfile(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.updateProfile> {
  return async (request, context) => {
    const profileId = requireProfileId(request.profileId);
    const changes = changesOf(request);
    if (request.profile !== undefined) checkProfileFields(request.profile, FIELD_PREFIX);
    const isChange = Object.keys(changes).length > 0;
    const profile = await identityTransaction(deps.database, async (trx) => {
      const group = (await lockProfileGroups(trx, context.organizationId, [profileId])).get(profileId);
      if (group === undefined) throw new AppError("PROFILE_NOT_FOUND");
      if (!isChange) return effectiveProfile(group);
      const options = { nowMs: deps.clock.nowMs(), fieldPrefix: FIELD_PREFIX };
      const after = effectiveProfile(await updateProfileGroup(trx, group, changes, options));
      await deps.outbox.append(trx, [profileChanged(after, context.traceParent)]);
      return after;
    });
    if (isChange) deps.outbox.committed();
    return { profile: profileToProto(profile) };
  };
}

function changesOf({ profile, updateMask }: UpdateProfileRequest): ProfileFieldChanges {
  const fields = changedPaths(updateMask, profile, FIELDS).map((path) => FIELDS[path]);
  return Object.fromEntries(fields.map((field) => [field, profile?.[field]]));
}
