// Lists the RPCs about the personal data of users with their handlers.
import { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import { confirmAccountDeletion } from "../account-deletion/confirm-account-deletion.ts";
import { requestAccountDeletion } from "../account-deletion/request-account-deletion.ts";
import type { IdentityDeps } from "../deps.ts";
import { downloadExport } from "../exports/download-export.ts";
import { exportUser } from "../exports/export-user.ts";

export function privacyService(deps: IdentityDeps): ServiceImplementation {
  return implement(PrivacyService, {
    exportUser: exportUser(deps),
    downloadExport: downloadExport(deps),
    requestAccountDeletion: requestAccountDeletion(deps),
    confirmAccountDeletion: confirmAccountDeletion(deps),
  });
}
