// Derives the limits of logins from the configuration and the machine.
import { availableParallelism } from "node:os";
import { type Config, libuvThreads } from "@muster/config";
import type { LoginSettings } from "@muster/runtime";

/** Threads of libuv that are left to files and DNS. */
const OTHER_THREADS = 2;

export function loginSettings(config: Config): LoginSettings {
  return {
    passwordSlots: config.passwordHashesMax ?? Math.max(1, threads()),
    pairFailuresMax: config.loginPairFailuresMax,
    pairLockMs: config.loginPairLockMs,
    addressFailuresMax: config.loginAddressFailuresMax,
    clientFailuresMax: config.loginClientFailuresMax,
    windowMs: config.loginWindowMs,
  };
}

/** One processor is left to the event loop, so that other requests do not wait for a burst of logins. */
function threads(): number {
  return Math.min(availableParallelism() - 1, libuvThreads() - OTHER_THREADS);
}
