// UnmergeProfile undoes a merge and publishes the change.
import { create } from "@bufbuild/protobuf";
import {
  type ProfileService,
  UnmergeProfileResponseSchema,
} from "@muster/contracts/muster/events/v1/profile_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { changeOriginOf } from "../identity-graph/change-origin.ts";
import { identityTransaction } from "../identity-graph/identity-transaction.ts";
import { appendIdentityChange, lockAndUnmerge } from "../identity-graph/merge-profile-groups.ts";
import { effectiveProfile, groupProfileIds } from "../identity-graph/profile-group.ts";
import { requireProfileId } from "../profile-storage/require-profile-id.ts";
import { profileToProto } from "./profile-proto.ts";

export function unmergeProfile(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.unmergeProfile> {
  return async (request, context) => {
    const origin = { ...changeOriginOf(context), profileId: requireProfileId(request.profileId) };
    const response = await identityTransaction(deps.database, async (trx) => {
      const { group, drafts } = await lockAndUnmerge(deps, trx, origin);
      const response = create(UnmergeProfileResponseSchema, {
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
