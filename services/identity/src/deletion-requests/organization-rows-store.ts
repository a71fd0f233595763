// Deletes the rows of a person that belong to one organization.
import { bytesToUuid, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";
import { deleteSomeChunks } from "../exports/chunk-store.ts";
import { deleteExport, lockExport } from "../exports/export-store.ts";

const ROWS_MAX = 500;

/** A person in one organization. */
export interface ErasedPerson {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
}

/** Deletes at most ROWS_MAX ended sessions, and sessions from before `untilMs`, with the refresh tokens. */
export async function deleteSomeSessionsOf(
  trx: Transaction,
  person: ErasedPerson,
  untilMs: number,
): Promise<number> {
  const ids = await trx("sessions")
    .where(columnsOf(person))
    .andWhere((either) => either.whereNotNull("end_time_ms").orWhere("create_time_ms", "<=", untilMs))
    .orderBy("create_time_ms")
    .limit(ROWS_MAX)
    .pluck<Buffer[]>("id");
  if (ids.length === 0) return 0;
  ids.sort(Buffer.compare);
  await trx("refresh_tokens").whereIn("session_id", ids).delete();
  return trx("sessions").whereIn("id", ids).delete();
}

/** Deletes an export, or a part of the chunks. */
export async function deleteSomeExports(
  trx: Transaction,
  person: ErasedPerson,
): Promise<{ readonly exports: number; readonly hasMore: boolean }> {
  const [found] = await trx("exports").where(columnsOf(person)).limit(1).pluck<Buffer[]>("id");
  if (found === undefined) return { exports: 0, hasMore: false };
  const id = bytesToUuid(found);
  // The lock lets no runner add a chunk meanwhile.
  await lockExport(trx, id);
  if (await deleteSomeChunks(trx, id)) return { exports: 0, hasMore: true };
  await deleteExport(trx, id);
  return { exports: 1, hasMore: true };
}

/** The next login of the person chooses another organization. */
export async function forgetLastOrganization(trx: Transaction, person: ErasedPerson): Promise<void> {
  await trx("users")
    .where({
      id: uuidToBytes(person.userId),
      last_organization_id: uuidToBytes(person.organizationId),
    })
    .update({ last_organization_id: null });
}

function columnsOf({ organizationId, userId }: ErasedPerson) {
  return { organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) };
}
