// Encodes the two broadcasts of identity about ended credentials: the announcement of one revocation, and the beat.
import { bytesToUuid, uuidToBytes } from "@muster/core";

/** Announces a revocation; receivers drop cached entries that depend on the id. */
export const CREDENTIALS_REVOKED_TOPIC = "credentials.revoked";
/** Carries the number of revocations so far, every {@link BEAT_INTERVAL_MS}. */
export const CREDENTIALS_BEAT_TOPIC = "credentials.beat";
export const BEAT_INTERVAL_MS = 1_000;

export interface Revocation {
  /** Id of an API key, a session, a user, an organization or a signing key. */
  readonly credentialId: string;
  /** The number of the revocation. Numbers have no gaps, so a receiver notices a lost announcement. */
  readonly count: number;
  /** Whatever depends on the id has ended for ever. Otherwise receivers look the credential up again. */
  readonly hasEnded: boolean;
}

const ID_BYTES = 16;
const COUNT_BYTES = 8;
const REVOCATION_BYTES = ID_BYTES + COUNT_BYTES + 1;

export function encodeRevocation({ credentialId, count, hasEnded }: Revocation): Buffer {
  return Buffer.concat([uuidToBytes(credentialId), encodeBeat(count), Buffer.of(hasEnded ? 1 : 0)]);
}

/** Undefined for a payload of another form. */
export function decodeRevocation(payload: Uint8Array): Revocation | undefined {
  if (payload.length !== REVOCATION_BYTES) return undefined;
  const count = decodeBeat(payload.subarray(ID_BYTES, ID_BYTES + COUNT_BYTES));
  if (count === undefined) return undefined;
  const credentialId = bytesToUuid(payload.subarray(0, ID_BYTES));
  return { credentialId, count, hasEnded: payload[REVOCATION_BYTES - 1] === 1 };
}

export function encodeBeat(count: number): Buffer {
  const bytes = Buffer.alloc(COUNT_BYTES);
  bytes.writeBigUInt64BE(BigInt(count));
  return bytes;
}

/** Undefined for a payload of another form. */
export function decodeBeat(payload: Uint8Array): number | undefined {
  if (payload.length !== COUNT_BYTES) return undefined;
  return Number(Buffer.from(payload.buffer, payload.byteOffset, payload.length).readBigUInt64BE());
}
