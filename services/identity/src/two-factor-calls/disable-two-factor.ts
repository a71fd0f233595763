// DisableTwoFactor: removes the second factor, the backup codes and a scheduled recovery.
import { create } from "@bufbuild/protobuf";
import {
  DisableTwoFactorResponseSchema,
  type TwoFactorService,
} from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { announceChanges } from "../revocation/announce-changes.ts";
import { callerOf, lockCaller } from "../two-factor/lock-caller.ts";
import { notifyOwner } from "../two-factor/notify-owner.ts";
import { hasSecondFactor, removeSecondFactor } from "../two-factor/second-factor.ts";

export function disableTwoFactor(
  deps: IdentityDeps,
): UnaryHandler<typeof TwoFactorService.method.disableTwoFactor> {
  return async (_request, context) => {
    const nowMs = await deps.database.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const user = await lockCaller(trx, callerOf(context));
      if (!(await hasSecondFactor(trx, user, nowMs))) throw new AppError("TWO_FACTOR_NOT_ENABLED");
      await removeSecondFactor(trx, user);
      const { client } = context;
      await notifyOwner(deps, trx, write, { user, kind: "two_factor_disabled", client, nowMs });
      // Organizations that require a second factor refuse the user from now on.
      await announceChanges(deps, trx, write, [user.id]);
      return create(DisableTwoFactorResponseSchema);
    });
  };
}
