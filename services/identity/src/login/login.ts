// Login: signs in with an address and a password.
import { create } from "@bufbuild/protobuf";
import {
  type LoginResponse,
  LoginResponseSchema,
  type SessionService,
} from "@muster/contracts/muster/identity/v1/session_service_pb";
import { Refusal, writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { requireBoundedPassword } from "../passwords/acceptable-password.ts";
import { issueChallenge } from "../two-factor/challenge.ts";
import { hasSecondFactor } from "../two-factor/second-factor.ts";
import { completeLogin } from "./complete-login.ts";
import { lockVerified, verifyLogin } from "./verify-login.ts";

export function login(deps: IdentityDeps): UnaryHandler<typeof SessionService.method.login> {
  return async (request, context) => {
    requireBoundedPassword(request.password, "password");
    const { client, keptResponse } = context;
    const verified = await verifyLogin(deps, request, client);
    if (keptResponse !== undefined) {
      await deps.database.transaction((trx) => lockVerified(deps, trx, verified));
      return keptResponse as LoginResponse;
    }
    const nowMs = await deps.database.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const user = await lockVerified(deps, trx, verified);
      if (await hasSecondFactor(trx, user, nowMs)) {
        throw new Refusal(await issueChallenge(trx, user, "password", nowMs, verified.device));
      }
      const { device } = verified;
      const tokens = await completeLogin(deps, trx, write, {
        user,
        methods: ["password"],
        device,
        client,
        nowMs,
      });
      return create(LoginResponseSchema, { tokens });
    });
  };
}
