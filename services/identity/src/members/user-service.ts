// Lists the RPCs about members with their handlers.
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { getUser } from "./get-user.ts";
import { listUsers } from "./list-users.ts";

export function userService(deps: IdentityDeps): ServiceImplementation {
  return implement(UserService, {
    getUser: getUser(deps),
    listUsers: listUsers(deps),
  });
}
