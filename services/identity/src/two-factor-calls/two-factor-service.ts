// TwoFactorService: the second factor of an account, its recovery, and step-up.
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { cancelTwoFactorRecovery } from "./cancel-two-factor-recovery.ts";
import { confirmTwoFactor } from "./confirm-two-factor.ts";
import { confirmTwoFactorRecovery } from "./confirm-two-factor-recovery.ts";
import { createBackupCodes } from "./create-backup-codes.ts";
import { disableTwoFactor } from "./disable-two-factor.ts";
import { enrollTwoFactor } from "./enroll-two-factor.ts";
import { loginWithTwoFactor } from "./login-with-two-factor.ts";
import { reauthenticate } from "./reauthenticate.ts";
import { recoverTwoFactor } from "./recover-two-factor.ts";

export function twoFactorService(deps: IdentityDeps): ServiceImplementation {
  return implement(TwoFactorService, {
    loginWithTwoFactor: loginWithTwoFactor(deps),
    enrollTwoFactor: enrollTwoFactor(deps),
    confirmTwoFactor: confirmTwoFactor(deps),
    disableTwoFactor: disableTwoFactor(deps),
    createBackupCodes: createBackupCodes(deps),
    recoverTwoFactor: recoverTwoFactor(deps),
    confirmTwoFactorRecovery: confirmTwoFactorRecovery(deps),
    cancelTwoFactorRecovery: cancelTwoFactorRecovery(deps),
    reauthenticate: reauthenticate(deps),
  });
}
