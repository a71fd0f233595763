// DownloadExport: sends the ZIP of an export to the requester, once.
import { permissionsOfRole } from "@muster/authz";
import type { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { AppError } from "@muster/errors";
import { beginDownload, type CallContext, type DownloadPart, type ServerStreamHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { findMembership } from "../memberships/membership-store.ts";
import { mailTokenHash } from "../one-time-tokens/mail-token.ts";
import { readChunk } from "./chunk-store.ts";
import { CHUNK_BYTES, EXPORT_PERMISSION, RESUME_MS, type ReadyExport } from "./export.ts";
import { claimExport, extendExport, findReadyExport } from "./export-store.ts";

const CONTENT_TYPE = "application/zip";
const MESSAGE_BYTES = 64 * 1024;
/** How often a transfer extends the time of the chunks. */
const EXTEND_MS = 60_000;

export function downloadExport(
  deps: IdentityDeps,
): ServerStreamHandler<typeof PrivacyService.method.downloadExport> {
  return async function* (request, context) {
    const found = await requireOwn(deps, request.token, context);
    requireData(found, deps.clock.nowMs());
    const part = beginDownload(context, {
      contentType: CONTENT_TYPE,
      size: found.size,
      etag: found.digest.toString("hex"),
      fileName: `export-${found.id}.zip`,
    });
    if (part.isHead) return;
    await claim(deps, found, part);
    yield* messagesOf(deps, found, part);
  };
}

/** EXPORT_NOT_FOUND for other callers, and for a requester without the permission to request the export. */
async function requireOwn(
  { database, clock }: IdentityDeps,
  token: string,
  { principal }: CallContext,
): Promise<ReadyExport> {
  const hash = mailTokenHash(token);
  const found = hash && (await findReadyExport(database.reader, hash, clock.nowMs()));
  if (found === undefined) throw new AppError("EXPORT_NOT_FOUND");
  const { requester, organizationId, userId } = found;
  if (principal.kind !== requester.kind || principal.id !== requester.id) {
    throw new AppError("EXPORT_NOT_FOUND");
  }
  if (principal.kind === "user") {
    if (principal.id === userId) return found;
    const membership = await findMembership(database.reader, organizationId, principal.id);
    const isPermitted =
      membership?.status === "active" && permissionsOfRole(membership.role).has(EXPORT_PERMISSION);
    if (isPermitted) return found;
  } else if ("permissions" in principal && principal.permissions.has(EXPORT_PERMISSION)) return found;
  throw new AppError("EXPORT_NOT_FOUND");
}

/** EXPORT_CLAIMED once the data is gone. */
function requireData({ dataEndTimeMs }: ReadyExport, nowMs: number): void {
  if (dataEndTimeMs === undefined || nowMs >= dataEndTimeMs) throw new AppError("EXPORT_CLAIMED");
}

/** The first download claims the export; a later download only continues the transfer. */
async function claim(
  { database, clock }: IdentityDeps,
  { id, claimTimeMs }: ReadyExport,
  { isConditional, isWhole }: DownloadPart,
): Promise<void> {
  const nowMs = clock.nowMs();
  const isContinued = isConditional && !isWhole;
  if (claimTimeMs !== undefined && isContinued) return;
  const times = { nowMs, dataEndTimeMs: nowMs + RESUME_MS };
  const isClaimed = await database.transaction((trx) => claimExport(trx, id, times));
  if (!isClaimed) throw new AppError("EXPORT_CLAIMED");
}

async function* messagesOf(
  { database, clock, exportKey }: IdentityDeps,
  { id }: ReadyExport,
  { start, end }: DownloadPart,
): AsyncIterable<{ readonly contentType: string; readonly data: Uint8Array }> {
  let extendedMs = clock.nowMs();
  for (let position = start; position < end; ) {
    const number = Math.floor(position / CHUNK_BYTES);
    const chunk = await readChunk(database.reader, exportKey, { exportId: id, number });
    if (chunk === undefined) throw new AppError("EXPORT_CLAIMED");
    const chunkStart = number * CHUNK_BYTES;
    const bytes = chunk.subarray(position - chunkStart, end - chunkStart);
    for (let offset = 0; offset < bytes.length; offset += MESSAGE_BYTES) {
      yield { contentType: CONTENT_TYPE, data: bytes.subarray(offset, offset + MESSAGE_BYTES) };
    }
    position = chunkStart + chunk.length;
    const nowMs = clock.nowMs();
    if (nowMs - extendedMs < EXTEND_MS) continue;
    extendedMs = nowMs;
    await database.transaction((trx) => extendExport(trx, id, nowMs + RESUME_MS));
  }
}
