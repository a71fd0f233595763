// Implements SessionService.
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { login } from "../login/login.ts";
import { unlockAccount } from "../login/unlock-account.ts";
import { deleteSession } from "./delete-session.ts";
import { listSessions } from "./list-sessions.ts";
import { logout } from "./logout.ts";
import { refreshToken } from "./refresh-token.ts";
import { revokeOtherSessions } from "./revoke-other-sessions.ts";
import { switchOrganization } from "./switch-organization.ts";

export function sessionService(deps: IdentityDeps): ServiceImplementation {
  return implement(SessionService, {
    login: login(deps),
    refreshToken: refreshToken(deps),
    switchOrganization: switchOrganization(deps),
    logout: logout(deps),
    listSessions: listSessions(deps),
    deleteSession: deleteSession(deps),
    revokeOtherSessions: revokeOtherSessions(deps),
    unlockAccount: unlockAccount(deps),
  });
}
