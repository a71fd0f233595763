// UnmergeProfile undoes a merge and publishes the change.
import { create } from "@bufbuild/protobuf";
import {
  type ProfileService,
  UnmergeProfileResponseSchema,
} from "@muster/contracts/muster/events/v1/profile_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { profileToProto, requireProfileId } from "../profiles/profile-proto.ts";
import { claimingTransaction } from "../profiles/write-identities.ts";
import { askedBy } from "./asked.ts";
import { announce, unmergeInTransaction } from "./merge-people.ts";
import { profileIdsOf, profileOf } from "./person.ts";

export function unmergeProfile(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.unmergeProfile> {
  return async (request, context) => {
    const asked = { ...askedBy(context), profileId: requireProfileId(request.profileId) };
    const response = await claimingTransaction(deps.database, async (trx) => {
      const { person, drafts } = await unmergeInTransaction(deps, trx, asked);
      const answer = create(UnmergeProfileResponseSchema, { profile: profileToProto(profileOf(person)) });
      await context.settle(trx, answer, { subjects: profileIdsOf(person) });
      await announce(deps.outbox, trx, drafts);
      return answer;
    });
    deps.outbox.committed();
    return response;
  };
}
