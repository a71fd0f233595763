// Ends a stream when the API key of its caller ends or loses the permission, whatever the handler does.
import type { ApiKeyPrincipal, ApiKeyVerifier } from "@muster/authz";
import { type Clock, Wakeup } from "@muster/core";
import { AppError } from "@muster/errors";
import { AUTHORIZATION } from "../metadata.ts";
import type { Call } from "./call.ts";
import { apiKeyFrom } from "./credentials.ts";
import type { Before } from "./interceptor.ts";

/** A key is checked at this interval, in case an announcement gets lost. */
const CHECK_MS = 60_000;
/** A constant reason saves a DOMException per stream. */
const ENDED = "ended";

interface Deps {
  readonly apiKeys: ApiKeyVerifier;
  readonly clock: Clock;
}

/** Follows `authorize`, so that no announcement can come between the check of the key and the subscription. */
export function watchCredential(deps: Deps): Before {
  return {
    before(call) {
      if (call.method.methodKind === "unary" || call.principal.kind !== "api_key") return;
      const key = apiKeyFrom(call.options.headers.get(AUTHORIZATION) ?? "");
      if (key !== undefined) watch(deps, call, key, call.principal);
    },
  };
}

function watch(deps: Deps, call: Call, key: string, principal: ApiKeyPrincipal): void {
  const changed = new Wakeup();
  const ended = new AbortController();
  const unsubscribe = deps.apiKeys.onChange((id) => {
    if (id === undefined || id === principal.id) changed.notify();
  });
  call.onEnd(() => {
    unsubscribe();
    ended.abort(ENDED);
  });
  untilRefused(deps, call, key, principal, changed, ended.signal).catch((error: unknown) => {
    call.abort(error instanceof AppError ? error : new AppError("INTERNAL", { cause: error }));
  });
}

/** Rejects once the key no longer allows the call. */
async function untilRefused(
  { apiKeys, clock }: Deps,
  call: Call,
  key: string,
  first: ApiKeyPrincipal,
  changed: Wakeup,
  ended: AbortSignal,
): Promise<void> {
  const { permission, sensitive = false } = call.plan.policy;
  let { expireTimeMs = Number.POSITIVE_INFINITY } = first;
  for (;;) {
    await changed.wait(clock, Math.min(CHECK_MS, Math.max(0, expireTimeMs - clock.nowMs())), ended);
    if (ended.aborted) return;
    const principal = await apiKeys.verify(key, { sensitive });
    if (ended.aborted) return;
    if (principal === undefined) throw new AppError("UNAUTHENTICATED");
    if (!principal.permissions.has(permission)) {
      throw new AppError("PERMISSION_DENIED", { details: { permission } });
    }
    expireTimeMs = principal.expireTimeMs ?? Number.POSITIVE_INFINITY;
  }
}
