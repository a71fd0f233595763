// Contains every statement against `organization_closings`: services that have to erase a closed organization.
import { bytesToUuid, type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";

/** The services with data of organizations, besides identity. */
export const ERASING_SERVICES = ["events", "segments"] as const;
export type ErasingService = (typeof ERASING_SERVICES)[number];

export interface Closing {
  readonly organizationId: OrganizationId;
  readonly service: ErasingService;
}

interface Row {
  readonly organization_id: Buffer;
  readonly service: Buffer;
}

const TABLE = "organization_closings";

export async function insertClosings(
  trx: Transaction,
  organizationId: OrganizationId,
  nowMs: number,
  services: readonly ErasingService[] = ERASING_SERVICES,
): Promise<void> {
  const rows = services.map((service) => [uuidToBytes(organizationId), Buffer.from(service), 0, nowMs]);
  const columns = ["organization_id", "service", "is_erased", "next_check_ms"];
  await insertRows(trx, TABLE, columns, rows, "keep", ["organization_id", "service"]);
}

export async function listDueClosings(db: Queryable, nowMs: number, limit: number): Promise<Closing[]> {
  const rows = await db(TABLE)
    .select<Row[]>("organization_id", "service")
    .where("next_check_ms", "<=", nowMs)
    .orderBy(["next_check_ms", "organization_id", "service"])
    .limit(limit);
  return rows.map((row) => ({
    organizationId: bytesToUuid(row.organization_id),
    service: row.service.toString("utf8") as ErasingService,
  }));
}

export async function postponeCheck(
  trx: Transaction,
  closing: Closing,
  { isErased, nextCheckMs }: { readonly isErased: boolean; readonly nextCheckMs: number },
): Promise<void> {
  await trx(TABLE)
    .where(keyOf(closing))
    .update({ is_erased: isErased ? 1 : 0, next_check_ms: nextCheckMs });
}

export async function deleteClosing(trx: Transaction, closing: Closing): Promise<void> {
  await trx(TABLE).where(keyOf(closing)).delete();
}

function keyOf({ organizationId, service }: Closing) {
  return { organization_id: uuidToBytes(organizationId), service: Buffer.from(service) };
}
