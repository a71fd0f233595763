// Requires that a user has entered a password or a second factor recently.
import type { CredentialVerifier, UserPrincipal } from "@muster/authz";
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import { AUTHORIZATION } from "../metadata.ts";
import { credentialFrom } from "./credentials.ts";

const STEP_UP_MS = 600_000;

export interface StepUpDeps {
  readonly credentials: CredentialVerifier;
  readonly clock: Clock;
}

/**
 * Resolves to the user as known last; rejects with STEP_UP_REQUIRED. A cached verification never refuses: the user may
 * have authenticated at another process a moment ago.
 */
export async function requireStepUp(
  { credentials, clock }: StepUpDeps,
  headers: ReadonlyMap<string, string>,
  user: UserPrincipal,
): Promise<UserPrincipal> {
  if (isRecent(user, clock.nowMs())) return user;
  const renewed = await renewUser({ credentials }, headers);
  if (isRecent(renewed, clock.nowMs())) return renewed;
  throw new AppError("STEP_UP_REQUIRED", { details: { methods: renewed.stepUpMethods.join(",") } });
}

/** Verifies the caller's access token again. */
export async function renewUser(
  { credentials }: Pick<StepUpDeps, "credentials">,
  headers: ReadonlyMap<string, string>,
): Promise<UserPrincipal> {
  const credential = credentialFrom(headers.get(AUTHORIZATION) ?? "");
  const renewed =
    credential === undefined ? undefined : await credentials.verify(credential, { renew: true });
  if (renewed?.kind !== "user") throw new AppError("UNAUTHENTICATED");
  return renewed;
}

function isRecent({ authenticatedMs }: UserPrincipal, nowMs: number): boolean {
  return authenticatedMs !== undefined && nowMs - authenticatedMs < STEP_UP_MS;
}
