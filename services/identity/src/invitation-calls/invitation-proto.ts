// Converts invitations to messages of the contract.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { roleToProto } from "@muster/authz";
import {
  type Invitation as InvitationMessage,
  InvitationSchema,
} from "@muster/contracts/muster/identity/v1/invitation_pb";
import type { Invitation } from "../invitations/invitation.ts";
import type { Membership } from "../memberships/membership.ts";

export function invitationToProto(
  { id, userId, email, inviter, createTimeMs, expireTimeMs }: Invitation,
  { name, role }: Pick<Membership, "name" | "role">,
): InvitationMessage {
  return create(InvitationSchema, {
    id,
    userId,
    email,
    name,
    role: roleToProto(role),
    inviterId: inviter.id,
    createTime: timestampFromMs(createTimeMs),
    expireTime: timestampFromMs(expireTimeMs),
  });
}
