// Ends a stream when the credential of its caller ends or loses the permission, whatever the handler does.
import { type CredentialPrincipal, type CredentialVerifier, dependsOn } from "@muster/authz";
import { type Clock, Wakeup } from "@muster/core";
import { AppError } from "@muster/errors";
import { AUTHORIZATION } from "../metadata.ts";
import { assertAllowed } from "./authorize.ts";
import type { Call } from "./call.ts";
import { credentialFrom } from "./credentials.ts";
import type { Before } from "./interceptor.ts";

/** A credential is checked at this interval, in case an announcement gets lost. */
const CHECK_MS = 60_000;
/** A constant reason saves a DOMException per stream. */
const ENDED = "ended";

interface Deps {
  readonly credentials: CredentialVerifier;
  readonly clock: Clock;
}

/** Follows `authorize`, so that no announcement can come between the check of the credential and the subscription. */
export function watchCredential(deps: Deps): Before {
  return {
    before(call) {
      const { method, principal } = call;
      if (method.methodKind === "unary") return;
      if (principal.kind !== "api_key" && principal.kind !== "user") return;
      const credential = credentialFrom(call.options.headers.get(AUTHORIZATION) ?? "");
      if (credential !== undefined) watch(deps, call, credential, principal);
    },
  };
}

function watch(deps: Deps, call: Call, credential: string, principal: CredentialPrincipal): void {
  const changed = new Wakeup();
  const ended = new AbortController();
  const unsubscribe = deps.credentials.onChange((id) => {
    if (id === undefined || dependsOn(principal, id)) changed.notify();
  });
  call.onEnd(() => {
    unsubscribe();
    ended.abort(ENDED);
  });
  untilRefused(deps, call, credential, principal, changed, ended.signal).catch((error: unknown) => {
    call.abort(error instanceof AppError ? error : new AppError("INTERNAL", { cause: error }));
  });
}

/**
 * Rejects once the credential no longer allows the call. After the end of an access token, the stream lives as long as
 * the session.
 */
async function untilRefused(
  { credentials, clock }: Deps,
  call: Call,
  credential: string,
  first: CredentialPrincipal,
  changed: Wakeup,
  ended: AbortSignal,
): Promise<void> {
  const { policy } = call.plan;
  const { sensitive = false } = policy;
  for (let principal = first; ; ) {
    await changed.wait(clock, checkDelayMs(principal, clock.nowMs()), ended);
    if (ended.aborted) return;
    const verified = await credentials.verify(credential, { sensitive, isStreaming: true });
    if (ended.aborted) return;
    if (verified === undefined) throw new AppError("UNAUTHENTICATED");
    assertAllowed(policy, verified);
    principal = verified;
  }
}

function checkDelayMs({ kind, expireTimeMs }: CredentialPrincipal, nowMs: number): number {
  if (expireTimeMs === undefined || (kind === "user" && expireTimeMs <= nowMs)) return CHECK_MS;
  return Math.min(CHECK_MS, Math.max(0, expireTimeMs - nowMs));
}
