// Rotates the signing key from a command, which writes to identity's database without a running service.
import type { Clock, IdSource, SigningKeyId } from "@muster/core";
import type { Database } from "@muster/db";
import { rotateSigningKey } from "./rotate-signing-key.ts";

type OwnKey = (use: string) => Uint8Array;

export interface DirectDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Derives the keys that identity alone has, as `Platform.ownKey` does. */
  readonly ownKey: OwnKey;
}

/** The key that seals private keys. */
export function signingSealKey(ownKey: OwnKey): Uint8Array {
  return ownKey("signing-keys");
}

/**
 * Returns the id of the new key, or undefined when the key to withdraw does not exist. The next beat of identity shows
 * the withdrawal to every process.
 */
export async function rotateSigningKeyDirect(
  { database, clock, ids, ownKey }: DirectDeps,
  withdraw: SigningKeyId | undefined,
): Promise<SigningKeyId | undefined> {
  const rotated = await rotateSigningKey({ database, clock, ids, sealKey: signingSealKey(ownKey) }, withdraw);
  return rotated?.id;
}
