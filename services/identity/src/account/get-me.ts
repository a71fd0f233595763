// GetMe: returns the account of the caller.
import type { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { findUser } from "../users/user-store.ts";
import { readMe } from "./me-proto.ts";

export function getMe({ database, clock }: IdentityDeps): UnaryHandler<typeof AccountService.method.getMe> {
  return (_request, context) =>
    database.snapshot(async (trx) => {
      const user = await findUser(trx, context.user.id);
      if (user === undefined) throw new AppError("SESSION_ENDED");
      return { me: await readMe(trx, user, clock.nowMs()) };
    });
}
