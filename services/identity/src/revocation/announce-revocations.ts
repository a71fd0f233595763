// Broadcasts that credentials were revoked, after the revocations have committed. Best effort: the next beat shows
// every receiver that it missed an announcement.
import { CREDENTIALS_REVOKED_TOPIC, encodeRevocation, type Revocation } from "@muster/authz";
import type { Bus } from "@muster/bus";
import type { Clock } from "@muster/core";

/** Longest time for which a response waits until its broadcasts return. */
const ECHO_WAIT_MS = 250;

/**
 * Resolves when the broadcasts have returned to this process, and so have been sent to the others: the caller's
 * next request then finds no cache with the credentials.
 */
export async function announceRevocations(
  { bus, clock }: { readonly bus: Bus; readonly clock: Clock },
  revocations: readonly Revocation[],
): Promise<void> {
  const payloads = revocations.map(encodeRevocation);
  const last = payloads.at(-1);
  if (last === undefined) return;
  const echo = new AbortController();
  // Subscribed last, so that this process's caches receive the broadcast first. Broadcasts keep their order.
  const unsubscribe = bus.onBroadcast(CREDENTIALS_REVOKED_TOPIC, (received) => {
    if (last.equals(received)) echo.abort();
  });
  try {
    for (const payload of payloads) bus.broadcast(CREDENTIALS_REVOKED_TOPIC, payload);
    await clock.sleep(ECHO_WAIT_MS, echo.signal);
  } finally {
    unsubscribe();
  }
}
