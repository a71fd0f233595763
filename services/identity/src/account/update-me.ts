// UpdateMe: changes the name and the language of the caller.
import { create } from "@bufbuild/protobuf";
import {
  type AccountService,
  type MeChanges,
  type UpdateMeRequest,
  UpdateMeResponseSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { AppError, invalidField } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import { changedPaths, type UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { requirePersonName } from "../users/person-name.ts";
import type { User } from "../users/user.ts";
import { lockUser, saveUser } from "../users/user-store.ts";
import { readMe } from "./me-proto.ts";

type Changes = Partial<Pick<User, "name" | "locale">>;

const FIELDS = { name: "name", locale: "locale" } as const satisfies Record<string, keyof MeChanges>;

export function updateMe(deps: IdentityDeps): UnaryHandler<typeof AccountService.method.updateMe> {
  return async (request, context) => {
    const changes = changesOf(request);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const before = await lockUser(trx, context.user.id);
      if (before === undefined) throw new AppError("SESSION_ENDED");
      const after: User = { ...before, ...changes };
      if (after.name === before.name && after.locale === before.locale) {
        return create(UpdateMeResponseSchema, { me: await readMe(trx, before, nowMs) });
      }
      const saved = { ...after, updateTimeMs: nowMs };
      await saveUser(trx, saved);
      const activity = { userId: saved.id, timeMs: nowMs, client: context.client };
      await insertActivity(trx, deps, { ...activity, kind: "profile_updated" });
      await deps.mailer.queue(trx, {
        kind: "account_changed",
        to: saved.email,
        locale: saved.locale,
        values: { name: saved.name, time: new Date(nowMs).toISOString() },
      });
      write.afterCommit(() => deps.mailer.wake());
      return create(UpdateMeResponseSchema, { me: await readMe(trx, saved, nowMs) });
    });
  };
}

function changesOf({ me, updateMask }: UpdateMeRequest): Changes {
  const changes: { -readonly [K in keyof Changes]: Changes[K] } = {};
  for (const path of changedPaths(updateMask, me, FIELDS)) {
    if (path === "locale") changes.locale = me?.locale;
    else {
      if (me?.name === undefined) throw invalidField("me.name", "can't be cleared");
      changes.name = requirePersonName(me.name, "me.name");
    }
  }
  return changes;
}
