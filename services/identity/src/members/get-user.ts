// GetUser: returns a member of the caller's organization.
import type { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { AppError } from "@muster/errors";
import { clearUnselected, selectedFields } from "@muster/list-queries";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { memberToProto } from "../memberships/member-proto.ts";
import { findMembership } from "../memberships/membership-store.ts";
import { requireUserId } from "../users/user-id.ts";
import { findUser } from "../users/user-store.ts";
import { SELECTABLE } from "./member-selection.ts";

/** The version stays, because the entity tag begins with the version. */
const CLEARABLE = SELECTABLE.filter(({ name }) => name !== "version");

export function getUser({ database }: IdentityDeps): UnaryHandler<typeof UserService.method.getUser> {
  return (request, { organizationId }) => {
    const userId = requireUserId(request.userId);
    const selected = selectedFields(request.fields, SELECTABLE);
    return database.snapshot(async (trx) => {
      const membership = await findMembership(trx, organizationId, userId);
      const user = await findUser(trx, userId);
      if (membership === undefined || user === undefined) throw new AppError("USER_NOT_FOUND");
      return { user: clearUnselected(memberToProto(membership, user), CLEARABLE, selected) };
    });
  };
}
