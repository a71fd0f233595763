// Declares the variables that limit failed logins and the hashing of passwords.
import { integer } from "./kinds.ts";
import { given, optional } from "./variable.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export const loginVariables = {
  loginPairFailuresMax: given({
    name: "MUSTER_LOGIN_PAIR_FAILURES_MAX",
    doc: "Failed logins with an email address from a client that lock this address for this client.",
    kind: integer(1, 1000),
    fallback: () => "5",
  }),
  loginPairLockMs: given({
    name: "MUSTER_LOGIN_PAIR_LOCK_MS",
    doc: "How long an email address stays locked for a client, in milliseconds.",
    kind: integer(1000, DAY_MS),
    fallback: () => "900000",
  }),
  loginAddressFailuresMax: given({
    name: "MUSTER_LOGIN_ADDRESS_FAILURES_MAX",
    doc: "Failed logins with an email address from all clients within MUSTER_LOGIN_WINDOW_MS. After them only known devices and the unlock mail let the owner in.",
    kind: integer(1, 100_000),
    fallback: () => "50",
  }),
  loginClientFailuresMax: given({
    name: "MUSTER_LOGIN_CLIENT_FAILURES_MAX",
    doc: "Failed logins of a client with all email addresses within MUSTER_LOGIN_WINDOW_MS.",
    kind: integer(1, 100_000),
    fallback: () => "100",
  }),
  loginWindowMs: given({
    name: "MUSTER_LOGIN_WINDOW_MS",
    doc: "The window in which failed logins of an email address and of a client are counted, in milliseconds.",
    kind: integer(1000, DAY_MS),
    fallback: () => String(HOUR_MS),
  }),
  passwordHashesMax: optional({
    name: "MUSTER_PASSWORD_HASHES_MAX",
    doc: "Passwords that a process hashes at once, with 19 MiB each. Unset: the processors less one, and at most the threads of libuv (UV_THREADPOOL_SIZE) less two.",
    kind: integer(1, 1024),
  }),
} as const;
