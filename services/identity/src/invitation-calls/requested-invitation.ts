// Reads the person, the name and the role of an invitation from a request.
import { type Role, roleFromProto } from "@muster/authz";
import type { CreateInvitationRequest } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { canonicalEmail, emailProblem, emailSpelling } from "@muster/core";
import { invalidField } from "@muster/errors";
import { requirePersonName } from "../users/person-name.ts";

export interface RequestedInvitation {
  /** As the inviter wrote it. */
  readonly email: string;
  /** The canonical form. */
  readonly emailKey: string;
  /** "" without a name. */
  readonly name: string;
  readonly role: Role;
}

export function requestedInvitation(
  request: Pick<CreateInvitationRequest, "email" | "role" | "name">,
): RequestedInvitation {
  const problem = emailProblem(request.email);
  if (problem !== undefined) throw invalidField("email", problem);
  const role = roleFromProto(request.role);
  if (role === undefined) throw invalidField("role", "must be a role");
  const { name = "" } = request;
  return {
    email: emailSpelling(request.email),
    emailKey: canonicalEmail(request.email),
    name: name === "" ? "" : requirePersonName(name, "name"),
    role,
  };
}
