// Rotates refresh tokens: each use replaces the token, and a late use of a replaced token reveals a theft.
import { createHash, createHmac, randomBytes } from "node:crypto";
import { openSealed, type SessionId, sealBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { claimRefreshToken, findRefreshToken, insertRefreshToken } from "./refresh-token-store.ts";
import { expireTimeOf, isLive, type Session } from "./session.ts";
import { lockSession, setSessionUse } from "./session-store.ts";

/** A replaced token is accepted so long: for requests at once, and for a client that lost the response. */
export const GRACE_MS = 10_000;
/** Successors that are followed from a replaced token to the newest one. */
const LINKS_MAX = 8;
const TOKEN_BYTES = 32;
const TOKEN = /^mr_[A-Za-z0-9_-]{43}$/;

export type Rotation =
  /** No session has the token, or the token's successors cannot be followed. */
  | { readonly kind: "unknown" }
  /** The session of the token has ended. */
  | { readonly kind: "ended" }
  /** The token was replaced long ago: two clients have it. */
  | { readonly kind: "reused"; readonly session: Session }
  | { readonly kind: "rotated"; readonly session: Session; readonly token: string };

export interface RotationTimes {
  /** By the clock of this process, for the times of the session. */
  readonly nowMs: number;
  /** By the database's clock, because replicas compare the times of a rotation within seconds. */
  readonly databaseNowMs: number;
}

/** The first token of a session. */
export async function issueRefreshToken(trx: Transaction, sessionId: SessionId): Promise<string> {
  const token = newToken();
  await insertRefreshToken(trx, hashOf(token), sessionId);
  return token;
}

/**
 * Replaces the token by a new one. A token that was replaced within the grace period returns the newest token of the
 * session, so that several requests at once end with the same token.
 */
export async function rotateRefreshToken(
  trx: Transaction,
  token: string,
  { nowMs, databaseNowMs }: RotationTimes,
): Promise<Rotation> {
  const stored = TOKEN.test(token) ? await findRefreshToken(trx, hashOf(token)) : undefined;
  if (stored === undefined) return { kind: "unknown" };
  // Locked first: rotations and the end of a session follow one another.
  const session = await lockSession(trx, stored.sessionId);
  if (session === undefined || !isLive(session, nowMs)) return { kind: "ended" };
  const successor = newToken();
  const isClaimed = await claimRefreshToken(trx, hashOf(token), {
    timeMs: databaseNowMs,
    successorSeal: sealBytes(sealKeyOf(token), [Buffer.from(successor)], session.id),
    sealEndTimeMs: databaseNowMs + GRACE_MS,
  });
  if (!isClaimed) return newestToken(trx, token, session, databaseNowMs);
  await insertRefreshToken(trx, hashOf(successor), session.id);
  const used = { ...session, lastUsedTimeMs: Math.max(session.lastUsedTimeMs, nowMs) };
  const renewed = { ...used, expireTimeMs: expireTimeOf(used) };
  await setSessionUse(trx, renewed);
  return { kind: "rotated", session: renewed, token: successor };
}

/** Follows the successors of a replaced token. */
async function newestToken(
  queryable: Queryable,
  replaced: string,
  session: Session,
  databaseNowMs: number,
): Promise<Rotation> {
  let token = replaced;
  for (let links = 0; links <= LINKS_MAX; links += 1) {
    const stored = await findRefreshToken(queryable, hashOf(token));
    if (stored === undefined) return { kind: "unknown" };
    if (stored.usedTimeMs === undefined) return { kind: "rotated", session, token };
    const isInGrace = databaseNowMs < stored.usedTimeMs + GRACE_MS && stored.successorSeal !== undefined;
    if (!isInGrace) return links === 0 ? { kind: "reused", session } : { kind: "unknown" };
    token = openSealed(sealKeyOf(token), stored.successorSeal, session.id).toString();
  }
  return { kind: "unknown" };
}

function newToken(): string {
  return `mr_${randomBytes(TOKEN_BYTES).toString("base64url")}`;
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** Only a holder of the token can open its successor; the stored hash of the token is not enough. */
function sealKeyOf(token: string): Buffer {
  return createHmac("sha256", token).update("muster.refresh-token.successor").digest();
}
