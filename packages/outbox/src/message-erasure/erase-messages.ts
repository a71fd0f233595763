// Erases people from messages that were published before the erasure: from outbox rows, whose positions stay,
// and from dead letters. Works in small steps that block no other work; a repeated run is harmless.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { assert, chunksOf } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import * as deadLetters from "../dead-letters/dead-letter-store.ts";
import * as store from "./message-erasure-store.ts";

/** A message of which nothing may stay but its position. */
export const WITHDRAWN = "withdrawn";

/**
 * Returns the data of a message without the person or the organization; undefined if the message does not contain
 * them.
 */
export type MessageRewrite = (type: string, data: Uint8Array) => Uint8Array | typeof WITHDRAWN | undefined;

export interface MessageErasureOptions {
  /** Profile ids to find, in the binary form that messages contain. */
  readonly profileIdBytes: readonly Buffer[];
  readonly rewrite: MessageRewrite;
  /** The type of withdrawn messages, which no consumer reads. */
  readonly withdrawnType?: string;
  /**
   * Called in the transaction of each step that has rewritten messages, with the data from before, so that
   * each is counted exactly once.
   */
  readonly changed?: (trx: Transaction, before: readonly Uint8Array[]) => Promise<void>;
  /** Called before each step; false stops the run. */
  readonly shouldContinue?: () => Promise<boolean>;
}

/** Positions searched by one statement. A message is at most 512 KiB; most are far smaller. */
const STEP_POSITIONS = 128;
/** Messages rewritten in one transaction. */
const REWRITE_MAX = 16;
const DEAD_LETTERS_MAX = 100;
/** Most ids searched in one statement. */
const PROFILE_IDS_MAX = 32;

/**
 * Rewrites the shard's messages up to and including `through`. Returns false if it was stopped before the
 * end.
 */
export async function eraseFromOutbox(
  database: Database,
  range: { readonly shard: number; readonly through: number },
  options: MessageErasureOptions,
): Promise<boolean> {
  const { shard, through } = range;
  for (let after = 0; ; ) {
    if ((await options.shouldContinue?.()) === false) return false;
    const from = await store.firstPosition(database.reader, { shard, after, through });
    if (from === undefined) return true;
    const step = { shard, from, through: Math.min(through, from + STEP_POSITIONS - 1) };
    const found = await findContaining(database, step, options.profileIdBytes);
    for (const positions of chunksOf(found, REWRITE_MAX)) {
      await database.transaction((trx) => rewriteMessages(trx, shard, positions, options));
    }
    after = step.through;
  }
}

async function findContaining(
  database: Database,
  step: { readonly shard: number; readonly from: number; readonly through: number },
  profileIdBytes: readonly Buffer[],
): Promise<number[]> {
  const found = new Set<number>();
  for (const some of chunksOf(profileIdBytes, PROFILE_IDS_MAX)) {
    for (const position of await store.findContaining(database.reader, step, some)) found.add(position);
  }
  return [...found].sort((a, b) => a - b);
}

async function rewriteMessages(
  trx: Transaction,
  shard: number,
  positions: readonly number[],
  { rewrite, changed, withdrawnType }: MessageErasureOptions,
): Promise<void> {
  const before: Buffer[] = [];
  for (const { position, type, data } of await store.lockMessages(trx, shard, positions)) {
    const rewritten = rewrite(type, data);
    if (rewritten === undefined) continue;
    if (rewritten === WITHDRAWN) {
      assert(withdrawnType !== undefined, "withdrawn messages have a type");
      await store.withdrawMessage(trx, shard, position, withdrawnType);
    } else await store.replaceData(trx, shard, position, rewritten);
    before.push(data);
  }
  if (before.length > 0) await changed?.(trx, before);
}

const ERASED = "the message was erased";

/**
 * Rewrites the dead letters of all shards, because a person's id may occur in another shard. Dead letters
 * that contain the id and cannot be decoded are deleted.
 */
export async function eraseFromDeadLetters(
  database: Database,
  options: MessageErasureOptions,
): Promise<boolean> {
  const { profileIdBytes, shouldContinue } = options;
  for (const some of chunksOf(profileIdBytes, PROFILE_IDS_MAX)) {
    for (let after: string | undefined; ; ) {
      if ((await shouldContinue?.()) === false) return false;
      const { containing, last } = await deadLetters.pageOfDeadLetters(
        database.reader,
        after,
        some,
        DEAD_LETTERS_MAX,
      );
      if (last === undefined) break;
      for (const ids of chunksOf(containing, REWRITE_MAX)) {
        await database.transaction((trx) => rewriteDeadLetters(trx, ids, options));
      }
      after = last;
    }
  }
  return true;
}

async function rewriteDeadLetters(
  trx: Transaction,
  ids: readonly string[],
  { rewrite, changed }: MessageErasureOptions,
): Promise<void> {
  const before: Buffer[] = [];
  for (const { id, raw } of await deadLetters.lockDeadLetters(trx, ids)) {
    const rewritten = rewriteDeadLetter(raw, rewrite);
    if (rewritten === undefined) continue;
    if (rewritten === "unreadable") await deadLetters.deleteDeadLetter(trx, id);
    else await deadLetters.replaceDeadLetter(trx, id, { raw: rewritten, error: ERASED });
    before.push(raw);
  }
  if (before.length > 0) await changed?.(trx, before);
}

function rewriteDeadLetter(raw: Buffer, rewrite: MessageRewrite): Uint8Array | "unreadable" | undefined {
  try {
    const envelope = fromBinary(EnvelopeSchema, raw);
    const data = rewrite(envelope.type, envelope.data);
    if (data === WITHDRAWN) return "unreadable";
    return data && toBinary(EnvelopeSchema, { ...envelope, data: Uint8Array.from(data) });
  } catch {
    return "unreadable";
  }
}
