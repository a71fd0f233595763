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

function threads(): number {
  return Math.min(availableParallelism(), libuvThreads() - OTHER_THREADS);
}
