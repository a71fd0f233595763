// Makes signing keys: the first one, successors by age, and successors by command.
import { generateKeyPairSync } from "node:crypto";
import type { Revocation } from "@muster/authz";
import { type Clock, type IdSource, type SigningKeyId, sealBytes } from "@muster/core";
import { type Database, isUniqueViolation, type Transaction } from "@muster/db";
import { countRevocations } from "../revocation/revocation-count-store.ts";
import { isRotationDue, OVERLAP_MS, PUBLISHED_AHEAD_MS, type SigningKey } from "./signing-key.ts";
import {
  deleteSigningKey,
  insertSigningKey,
  listSigningKeys,
  setSigningKeyEnd,
} from "./signing-key-store.ts";

/** Attempts of a rotation, because concurrent rotations run in turn. */
const ATTEMPTS_MAX = 10;

export interface SigningKeyDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Seals private keys. */
  readonly sealKey: Uint8Array;
}

export interface RotatedKey {
  readonly id: SigningKeyId;
  /** Of the withdrawn key. */
  readonly revocations: readonly Revocation[];
}

/** The text to which a sealed private key is bound. */
export function sealContext(id: SigningKeyId): string {
  return `signing_keys/${id}`;
}

/** Makes the first key, or the successor of an old key. Several processes at once make a single key. */
export async function ensureSigningKey(deps: SigningKeyDeps): Promise<void> {
  const nowMs = deps.clock.nowMs();
  if (!isRotationDue(await listSigningKeys(deps.database.reader), nowMs)) return;
  try {
    await deps.database.transaction(async (trx) => {
      const keys = await listSigningKeys(trx);
      if (!isRotationDue(keys, nowMs)) return;
      const signTimeMs = keys.length === 0 ? nowMs : nowMs + PUBLISHED_AHEAD_MS;
      await succeed(trx, keys, newSigningKey(deps, keys, signTimeMs));
    });
  } catch (error) {
    // A concurrent process has made the key.
    if (!isUniqueViolation(error, "signing_keys_generation_uq")) throw error;
  }
}

/**
 * Makes a key that signs at once. A withdrawn key is deleted, so that its end depends on no clock. Undefined, and
 * without effect, when the key to withdraw does not exist.
 */
export async function rotateSigningKey(
  deps: SigningKeyDeps,
  withdraw: SigningKeyId | undefined,
): Promise<RotatedKey | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await deps.database.transaction((trx) => rotate(deps, trx, withdraw));
    } catch (error) {
      // A concurrent rotation has made a key of the same generation.
      if (attempt === ATTEMPTS_MAX || !isUniqueViolation(error, "signing_keys_generation_uq")) throw error;
    }
  }
}

async function rotate(
  deps: SigningKeyDeps,
  trx: Transaction,
  withdraw: SigningKeyId | undefined,
): Promise<RotatedKey | undefined> {
  const keys = await listSigningKeys(trx);
  const successor = newSigningKey(deps, keys, deps.clock.nowMs());
  if (withdraw !== undefined && !(await deleteSigningKey(trx, withdraw))) return undefined;
  const kept = keys.filter(({ id }) => id !== withdraw);
  await succeed(trx, kept, successor);
  const ended = withdraw === undefined ? [] : [{ credentialId: withdraw, hasEnded: true }];
  return { id: successor.id, revocations: await countRevocations(trx, ended) };
}

/** Stores the successor, ends the keys before it after the overlap, and deletes the keys that ended long ago. */
async function succeed(trx: Transaction, keys: readonly SigningKey[], successor: SigningKey): Promise<void> {
  for (const { id, endTimeMs } of keys) {
    if (endTimeMs === undefined) await setSigningKeyEnd(trx, id, successor.signTimeMs + OVERLAP_MS);
    else if (endTimeMs + OVERLAP_MS < successor.createTimeMs) await deleteSigningKey(trx, id);
  }
  await insertSigningKey(trx, successor);
}

function newSigningKey(
  { clock, ids, sealKey }: SigningKeyDeps,
  keys: readonly SigningKey[],
  signTimeMs: number,
): SigningKey {
  const createTimeMs = clock.nowMs();
  const id = ids.next<SigningKeyId>(createTimeMs);
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x = "", y = "" } = publicKey.export({ format: "jwk" });
  const der = privateKey.export({ format: "der", type: "pkcs8" });
  return {
    id,
    generation: Math.max(0, ...keys.map(({ generation }) => generation)) + 1,
    x: Buffer.from(x, "base64url"),
    y: Buffer.from(y, "base64url"),
    sealedPrivateKey: sealBytes(sealKey, [der], sealContext(id)),
    createTimeMs,
    signTimeMs,
    endTimeMs: undefined,
  };
}
