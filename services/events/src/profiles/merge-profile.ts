// MergeProfile merges two profile groups and publishes the change.
import { create } from "@bufbuild/protobuf";
import {
  MergeProfileResponseSchema,
  type ProfileService,
} from "@muster/contracts/muster/events/v1/profile_service_pb";
import { invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { changeOriginOf } from "../identity-graph/change-origin.ts";
import { identityTransaction } from "../identity-graph/identity-transaction.ts";
import { appendIdentityChange, lockAndMerge } from "../identity-graph/merge-profile-groups.ts";
import { effectiveProfile, groupProfileIds } from "../identity-graph/profile-group.ts";
import { requireProfileId } from "../profile-storage/require-profile-id.ts";
import { profileToProto } from "./profile-proto.ts";

export function mergeProfile(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.mergeProfile> {
  return async (request, context) => {
    const profileId = requireProfileId(request.profileId);
    const intoId = requireProfileId(request.into);
    if (profileId === intoId) throw invalidField("into", "must be another profile");
    const origin = { ...changeOriginOf(context), profileId, intoId };
    const response = await identityTransaction(deps.database, async (trx) => {
      const { group, drafts } = await lockAndMerge(deps, trx, origin);
      const response = create(MergeProfileResponseSchema, {
        profile: profileToProto(effectiveProfile(group)),
      });
      await context.saveResponse(trx, response, { subjects: groupProfileIds(group) });
      await appendIdentityChange(deps.outbox, trx, drafts);
      return response;
    });
    deps.outbox.committed();
    return response;
  };
}
