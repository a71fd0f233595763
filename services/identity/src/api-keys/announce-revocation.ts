// Broadcasts that a key was revoked, after the revocation has committed. Best effort: the next beat shows every
// receiver that it missed an announcement.
import { CREDENTIALS_REVOKED_TOPIC, encodeRevocation, type Revocation } from "@muster/authz";
import type { Bus } from "@muster/bus";
import type { Clock } from "@muster/core";

/** Longest time for which a response waits until its broadcast returns. */
const ECHO_WAIT_MS = 250;

/**
 * Resolves when the broadcast has returned to this process, and so has been sent to the others: the caller's
 * next request then finds no cache with the key.
 */
export async function announceRevocation(
  { bus, clock }: { readonly bus: Bus; readonly clock: Clock },
  revocation: Revocation,
): Promise<void> {
  const payload = encodeRevocation(revocation);
  const echo = new AbortController();
  // Subscribed last, so that this process's caches receive the broadcast first.
  const unsubscribe = bus.onBroadcast(CREDENTIALS_REVOKED_TOPIC, (received) => {
    if (payload.equals(received)) echo.abort();
  });
  try {
    bus.broadcast(CREDENTIALS_REVOKED_TOPIC, payload);
    await clock.sleep(ECHO_WAIT_MS, echo.signal);
  } finally {
    unsubscribe();
  }
}
