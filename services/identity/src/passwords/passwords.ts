// Passwords hashes and verifies passwords with argon2id, a bounded number at once.
import { randomBytes } from "node:crypto";
import type { Clock } from "@muster/core";
import { hash, type Options, parseOptions, verify } from "@node-rs/argon2";
import { PasswordSlots } from "./password-slots.ts";

/** `Algorithm.Argon2id`: the library declares a const enum, which type stripping cannot read. */
const ARGON2ID = 2;
/** OWASP's first recommendation for argon2id: 19 MiB, two passes, one lane. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 } as const;
const SALT_BYTES = 16;

export class Passwords {
  readonly #slots: PasswordSlots;
  readonly #decoy = newDecoy();

  /** `slots` is the number of hashes that are computed at once. */
  constructor(options: { readonly clock: Clock; readonly slots: number }) {
    this.#slots = new PasswordSlots(options);
  }

  /** The hash as a PHC string, with its salt and parameters. Rejects with UNAVAILABLE under too much load. */
  hash(password: string): Promise<string> {
    return this.#slots.run(() => hash(password, { ...PARAMETERS, algorithm: ARGON2ID } as Options));
  }

  /**
   * Whether the password has this hash. Without a hash the result is false after the same work, so that the time
   * reveals no account.
   */
  async verify(passwordHash: string | undefined, password: string): Promise<boolean> {
    const isRight = await this.#slots.run(() => verify(passwordHash ?? this.#decoy, password));
    return isRight && passwordHash !== undefined;
  }

  /** Whether the hash was made with other parameters than those in use now. */
  needsRehash(passwordHash: string): boolean {
    const used = parseOptions(passwordHash);
    const isSame = Object.entries(PARAMETERS).every(
      ([name, value]) => used[name as keyof typeof PARAMETERS] === value,
    );
    return !isSame || used.algorithm !== (ARGON2ID as number);
  }
}

/** A hash of no password, with the current parameters. */
function newDecoy(): string {
  const { memoryCost, timeCost, parallelism, outputLen } = PARAMETERS;
  const [salt, output] = [SALT_BYTES, outputLen].map((length) =>
    randomBytes(length).toString("base64").replace(/=+$/, ""),
  );
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$${salt}$${output}`;
}
