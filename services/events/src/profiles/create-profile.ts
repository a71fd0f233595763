// CreateProfile adds a profile and publishes it.
import { create } from "@bufbuild/protobuf";
import {
  CreateProfileResponseSchema,
  type ProfileService,
} from "@muster/contracts/muster/events/v1/profile_service_pb";
import type { ProfileId } from "@muster/core";
import type { UnaryHandler } from "@muster/rpc";
import { profileChanged } from "../domain-events/domain-events.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import { identityTransaction } from "../identity-graph/identity-transaction.ts";
import { requireFreeIdentities } from "../identity-graph/taken-identities.ts";
import { identitiesOf, type Profile } from "../profile-storage/profile.ts";
import { insertProfiles } from "../profile-storage/profile-store.ts";
import { checkProfileFields, profileToProto } from "./profile-proto.ts";

export function createProfile(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.createProfile> {
  return async (request, context) => {
    checkProfileFields(request);
    const nowMs = deps.clock.nowMs();
    const profile: Profile = {
      organizationId: context.organizationId,
      id: deps.profileIds.next<ProfileId>(nowMs),
      userId: request.userId,
      anonymousId: request.anonymousId,
      email: request.email,
      name: request.name,
      traits: request.traits ?? "{}",
      createMs: nowMs,
      updateMs: nowMs,
    };
    const response = create(CreateProfileResponseSchema, { profile: profileToProto(profile) });
    await identityTransaction(deps.database, async (trx) => {
      await requireFreeIdentities(trx, profile, identitiesOf(profile));
      await insertProfiles(trx, [profile]);
      await context.saveResponse(trx, response);
      await deps.outbox.append(trx, [profileChanged(profile, context.traceParent)]);
    });
    deps.outbox.committed();
    return response;
  };
}
