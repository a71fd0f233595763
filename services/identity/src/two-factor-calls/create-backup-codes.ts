// CreateBackupCodes: replaces the backup codes of the caller by ten new ones.
import { create } from "@bufbuild/protobuf";
import {
  CreateBackupCodesResponseSchema,
  type TwoFactorService,
} from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { replaceBackupCodes } from "../two-factor/backup-code-store.ts";
import { callerOf, lockCaller } from "../two-factor/lock-caller.ts";
import { notifyOwner } from "../two-factor/notify-owner.ts";
import { hasSecondFactor } from "../two-factor/second-factor.ts";

export function createBackupCodes(
  deps: IdentityDeps,
): UnaryHandler<typeof TwoFactorService.method.createBackupCodes> {
  return async (_request, context) => {
    const nowMs = await deps.database.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const user = await lockCaller(trx, callerOf(context));
      if (!(await hasSecondFactor(trx, user, nowMs))) throw new AppError("TWO_FACTOR_NOT_ENABLED");
      const backupCodes = await replaceBackupCodes(trx, deps.twoFactorKeys.backupCodes, user.id);
      const { client } = context;
      await notifyOwner(deps, trx, write, { user, kind: "backup_codes_created", client, nowMs });
      return create(CreateBackupCodesResponseSchema, { backupCodes });
    });
  };
}
