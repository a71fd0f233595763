// Lists the RPCs about members with their handlers.
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { createUser } from "./create-user.ts";
import { deleteUser } from "./delete-user.ts";
import { getUser } from "./get-user.ts";
import { leaveOrganization } from "./leave-organization.ts";
import { listUsers } from "./list-users.ts";
import { reinstateUser } from "./reinstate-user.ts";
import { restoreUser } from "./restore-user.ts";
import { revokeUserSessions } from "./revoke-user-sessions.ts";
import { suspendUser } from "./suspend-user.ts";
import { updateUser } from "./update-user.ts";

export function userService(deps: IdentityDeps): ServiceImplementation {
  return implement(UserService, {
    createUser: createUser(deps),
    getUser: getUser(deps),
    listUsers: listUsers(deps),
    updateUser: updateUser(deps),
    deleteUser: deleteUser(deps),
    restoreUser: restoreUser(deps),
    suspendUser: suspendUser(deps),
    reinstateUser: reinstateUser(deps),
    revokeUserSessions: revokeUserSessions(deps),
    leaveOrganization: leaveOrganization(deps),
  });
}
