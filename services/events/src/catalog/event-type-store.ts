// Stores catalog changes of organizations: every statement against `event_types` and `event_catalogs`.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import type { EventType } from "./event-type.ts";

/** A row: an event type of the organization, or a default type that the organization deleted. */
export interface CatalogChange extends EventType {
  readonly isDeleted: boolean;
}

interface EventTypeRow {
  readonly name: Buffer;
  readonly description: Buffer;
  readonly price_millionths: number;
  readonly is_deleted: number;
}

const COLUMNS = ["organization_id", "name", "description", "price_millionths", "is_deleted"];

/** Lists all changes of the organization. An organization has few changes. */
export async function listChanges(db: Queryable, organizationId: OrganizationId): Promise<CatalogChange[]> {
  const rows: EventTypeRow[] = await db("event_types")
    .select("name", "description", "price_millionths", "is_deleted")
    .where("organization_id", uuidToBytes(organizationId));
  return rows.map(fromRow);
}

/** Returns the change of one type, or undefined for an unchanged default or an unknown type. */
export async function getChange(
  db: Queryable,
  organizationId: OrganizationId,
  name: string,
): Promise<CatalogChange | undefined> {
  const [row]: EventTypeRow[] = await db("event_types")
    .select("name", "description", "price_millionths", "is_deleted")
    .where("organization_id", uuidToBytes(organizationId))
    .where("name", Buffer.from(name))
    .limit(1);
  return row && fromRow(row);
}

/** Locks the catalog of the organization until the transaction ends, by writing to the row. */
export async function lockCatalog(trx: Transaction, organizationId: OrganizationId): Promise<void> {
  const row = [uuidToBytes(organizationId), 1];
  await insertRows(trx, "event_catalogs", ["organization_id", "changes"], [row], { add: ["changes"] }, [
    "organization_id",
  ]);
}

/** Inserts or overwrites the change of one type. Invariant: the transaction holds the catalog lock. */
export async function putChange(
  trx: Transaction,
  organizationId: OrganizationId,
  { name, description, priceMillionths, isDeleted }: CatalogChange,
): Promise<void> {
  const row = [
    uuidToBytes(organizationId),
    Buffer.from(name),
    Buffer.from(description),
    priceMillionths,
    isDeleted ? 1 : 0,
  ];
  await insertRows(trx, "event_types", COLUMNS, [row], { overwrite: COLUMNS.slice(2) }, COLUMNS.slice(0, 2));
}

/** Deletes the change of one type, so that a default type applies again. */
export async function deleteChange(
  trx: Transaction,
  organizationId: OrganizationId,
  name: string,
): Promise<void> {
  await trx("event_types")
    .where("organization_id", uuidToBytes(organizationId))
    .where("name", Buffer.from(name))
    .delete();
}

function fromRow(row: EventTypeRow): CatalogChange {
  return {
    name: row.name.toString(),
    description: row.description.toString(),
    priceMillionths: Number(row.price_millionths),
    isDeleted: Number(row.is_deleted) === 1,
  };
}
