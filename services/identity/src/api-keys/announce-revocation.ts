// Tells every process that a key is no longer what it was, once that has committed. Best effort:
// where a notice is lost, the age of cached entries bounds how long the key lives on.
import { CREDENTIALS_REVOKED_TOPIC } from "@muster/authz";
import type { Bus } from "@muster/bus";
import { type ApiKeyId, type Clock, uuidToBytes } from "@muster/core";

/** How long an answer waits for its notice to come round. */
const ECHO_WAIT_MS = 250;

/**
 * Resolves when the notice has come back to this process, and so has been handed to the others: the
 * caller's next request then meets no cache that still knows the key.
 */
export async function announceRevocation(
  { bus, clock }: { readonly bus: Bus; readonly clock: Clock },
  id: ApiKeyId,
): Promise<void> {
  const payload = uuidToBytes(id);
  const echo = new AbortController();
  // Subscribed last, so it hears after this process's caches.
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
