// MergeProfile merges two profile groups and publishes the change.
import { create } from "@bufbuild/protobuf";
import {
  MergeProfileResponseSchema,
  type ProfileService,
} from "@muster/contracts/muster/events/v1/profile_service_pb";
import { invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { profileToProto, requireProfileId } from "../profiles/profile-proto.ts";
import { claimingTransaction } from "../profiles/write-identities.ts";
import { askedBy } from "./asked.ts";
import { announce, mergeInTransaction } from "./merge-people.ts";
import { profileIdsOf, profileOf } from "./person.ts";

export function mergeProfile(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.mergeProfile> {
  return async (request, context) => {
    const profileId = requireProfileId(request.profileId);
    const intoId = requireProfileId(request.into);
    if (profileId === intoId) throw invalidField("into", "must be another profile");
    const asked = { ...askedBy(context), profileId, intoId };
    const response = await claimingTransaction(deps.database, async (trx) => {
      const { person, drafts } = await mergeInTransaction(deps, trx, asked);
      const answer = create(MergeProfileResponseSchema, { profile: profileToProto(profileOf(person)) });
      await context.settle(trx, answer, { subjects: profileIdsOf(person) });
      await announce(deps.outbox, trx, drafts);
      return answer;
    });
    deps.outbox.committed();
    return response;
  };
}
