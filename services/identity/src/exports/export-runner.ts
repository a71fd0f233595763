// Builds an export in the background: stores the ZIP in sealed chunks, then makes the download available.
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import type { OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { WITHOUT_CALL, type Write, writeTransaction } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import { newMailToken } from "../one-time-tokens/mail-token.ts";
import { type LeasedOperation, OperationFailed } from "../operations/operation.ts";
import type { OperationRun, OperationRunner } from "../operations/operation-worker.ts";
import { findUser } from "../users/user-store.ts";
import { buildZip } from "./build-zip.ts";
import { deleteSomeChunks, insertChunk } from "./chunk-store.ts";
import { CHUNK_BYTES, EXPORT_BYTES_MAX, EXPORT_LIFETIME_MS, type NewExport } from "./export.ts";
import { exportReady } from "./export-events.ts";
import { deleteExport, lockExport, setExportReady } from "./export-store.ts";

interface Built {
  readonly size: number;
  readonly digest: Buffer;
}

/** An attempt that was interrupted begins again, without the chunks of the earlier attempt. */
export function exportRunner(deps: IdentityDeps): OperationRunner {
  return {
    async run(run) {
      await removeChunks(deps, run);
      const built = await storeZip(deps, run);
      await finishExport(deps, run.operation, built);
    },
    async discard(trx, { id }) {
      while (await deleteSomeChunks(trx, id));
      await deleteExport(trx, id);
    },
  };
}

function exportOf({ id, organizationId, requester, input, createTimeMs }: LeasedOperation): NewExport {
  if (organizationId === undefined) throw new OperationFailed("INTERNAL");
  return { id, organizationId, userId: input.user_id as UserId, requester, createTimeMs };
}

async function removeChunks(deps: IdentityDeps, { operation, renew }: OperationRun): Promise<void> {
  let hasMore = true;
  while (hasMore) {
    await renew();
    hasMore = await deps.database.transaction(async (trx) => {
      await deps.operations.requireLease(trx, operation);
      return deleteSomeChunks(trx, operation.id);
    });
  }
}

async function storeZip(deps: IdentityDeps, { operation, renew }: OperationRun): Promise<Built> {
  const { id, organizationId, userId } = exportOf(operation);
  const hash = createHash("sha256");
  let size = 0;
  let number = 0;
  const store = async (bytes: Buffer): Promise<void> => {
    await deps.database.transaction(async (trx) => {
      await requireOpen(deps, trx, operation);
      await insertChunk(trx, deps.exportKey, { exportId: id, number }, bytes);
    });
    number += 1;
    await renew({ progress: Math.max(1, (size / EXPORT_BYTES_MAX) * 99) });
  };
  let waiting = Buffer.alloc(0);
  const subject = { organizationId: organizationId as OrganizationId, userId };
  const zip = { database: deps.database, exportId: id, subject, nowMs: deps.clock.nowMs() };
  for await (const piece of buildZip(zip)) {
    hash.update(piece);
    size += piece.length;
    if (size > EXPORT_BYTES_MAX) throw new OperationFailed("TOO_LARGE");
    waiting = Buffer.concat([waiting, piece]);
    while (waiting.length >= CHUNK_BYTES) {
      await store(waiting.subarray(0, CHUNK_BYTES));
      waiting = waiting.subarray(CHUNK_BYTES);
    }
  }
  if (waiting.length > 0) await store(waiting);
  return { size, digest: hash.digest() };
}

/** The person's data may have been erased meanwhile, together with the export. */
async function requireOpen(deps: IdentityDeps, trx: Transaction, operation: LeasedOperation): Promise<void> {
  await deps.operations.requireLease(trx, operation);
  if (!(await lockExport(trx, operation.id))) throw new OperationFailed("USER_NOT_FOUND");
}

async function finishExport(deps: IdentityDeps, operation: LeasedOperation, built: Built): Promise<void> {
  const nowMs = deps.clock.nowMs();
  const endTimeMs = nowMs + EXPORT_LIFETIME_MS;
  const { text: token, hash: tokenHash } = newMailToken();
  await writeTransaction(deps, WITHOUT_CALL, async (trx, write) => {
    await requireOpen(deps, trx, operation);
    await setExportReady(trx, operation.id, { ...built, tokenHash, endTimeMs });
    const expireTime = new Date(endTimeMs).toISOString();
    const result = { token, expire_time: expireTime, size: built.size };
    await deps.operations.finish(trx, operation, { nowMs, result });
    await mailRequester(deps, trx, write, operation, expireTime);
    write.publish(exportReady(exportOf(operation), nowMs));
    return create(EmptySchema);
  });
}

/** An API key has no address. */
async function mailRequester(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  { requester }: LeasedOperation,
  time: string,
): Promise<void> {
  const user = requester.kind === "user" ? await findUser(trx, requester.id as UserId) : undefined;
  if (user === undefined) return;
  const { email, locale, name } = user;
  await deps.mailer.queue(trx, { kind: "export_ready", to: email, locale, values: { name, time } });
  write.afterCommit(() => deps.mailer.wake());
}
