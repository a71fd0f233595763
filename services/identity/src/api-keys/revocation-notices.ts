// Tells every process that a key is no longer what it was, once that has committed. Best effort:
// where a notice is lost, the age of cached entries bounds how long the key lives on.
import { CREDENTIALS_REVOKED_TOPIC } from "@muster/authz";
import type { Bus } from "@muster/bus";
import { type ApiKeyId, bytesToUuid, type Clock, uuidToBytes } from "@muster/core";

/** How long an answer waits for its notice to come round. */
const ECHO_WAIT_MS = 250;

export class RevocationNotices {
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, AbortController>();

  constructor(bus: Bus, clock: Clock) {
    this.#bus = bus;
    this.#clock = clock;
    bus.onBroadcast(CREDENTIALS_REVOKED_TOPIC, (payload) => this.#heard(payload));
  }

  /**
   * Resolves when the notice has come back to this process, and so has been handed to the others: the
   * caller's next request then meets no cache that still knows the key.
   */
  async announce(id: ApiKeyId): Promise<void> {
    const echo = this.#waiting.get(id) ?? new AbortController();
    this.#waiting.set(id, echo);
    this.#bus.broadcast(CREDENTIALS_REVOKED_TOPIC, uuidToBytes(id));
    await this.#clock.sleep(ECHO_WAIT_MS, echo.signal);
    if (this.#waiting.get(id) === echo) this.#waiting.delete(id);
  }

  #heard(payload: Uint8Array): void {
    if (payload.length !== 16) return;
    const id = bytesToUuid(payload);
    this.#waiting.get(id)?.abort();
    this.#waiting.delete(id);
  }
}
