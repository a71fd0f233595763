// CreateUser: invites a person to the caller's organization, and returns the invited member.
import { create } from "@bufbuild/protobuf";
import {
  CreateUserResponseSchema,
  type UserService,
} from "@muster/contracts/muster/identity/v1/user_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { invitePerson } from "../invitation-calls/invite-person.ts";
import { requestedInvitation } from "../invitation-calls/requested-invitation.ts";
import { memberToProto } from "../memberships/member-proto.ts";

export function createUser(deps: IdentityDeps): UnaryHandler<typeof UserService.method.createUser> {
  return async (request, context) => {
    const requested = requestedInvitation(request);
    return writeTransaction(deps, context, async (trx, write) => {
      const { membership } = await invitePerson(deps, trx, write, context, requested);
      // No account is read, so that the response does not show whether there is one.
      const person = { id: membership.userId, email: requested.email, isEmailVerified: false };
      return create(CreateUserResponseSchema, { user: memberToProto(membership, person) });
    });
  };
}
