// Lists the RPCs about accounts with their handlers.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { changeEmail } from "../email-change/change-email.ts";
import { confirmEmailChange } from "../email-change/confirm-email-change.ts";
import { undoEmailChange } from "../email-change/undo-email-change.ts";
import { register } from "../registration/register.ts";
import { resendVerification } from "../registration/resend-verification.ts";
import { verifyEmail } from "../registration/verify-email.ts";
import { changePassword } from "./change-password.ts";
import { forgotPassword } from "./forgot-password.ts";
import { getMe } from "./get-me.ts";
import { listActivities } from "./list-activities.ts";
import { resetPassword } from "./reset-password.ts";
import { updateMe } from "./update-me.ts";

export function accountService(deps: IdentityDeps): ServiceImplementation {
  return implement(AccountService, {
    register: register(deps),
    verifyEmail: verifyEmail(deps),
    resendVerification: resendVerification(deps),
    forgotPassword: forgotPassword(deps),
    resetPassword: resetPassword(deps),
    changePassword: changePassword(deps),
    getMe: getMe(deps),
    updateMe: updateMe(deps),
    changeEmail: changeEmail(deps),
    confirmEmailChange: confirmEmailChange(deps),
    undoEmailChange: undoEmailChange(deps),
    listActivities: listActivities(deps),
  });
}
