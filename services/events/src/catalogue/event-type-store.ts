// Every statement against `event_types` and `event_catalogues`: what organisations changed of the catalogue.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import type { EventType } from "./event-type.ts";

/** A row: an event type of the organisation's own, or one of the installation's that it took out. */
export interface CatalogueChange extends EventType {
  readonly isDeleted: boolean;
}

interface EventTypeRow {
  readonly name: Buffer;
  readonly description: Buffer;
  readonly price_millionths: number;
  readonly is_deleted: number;
}

const COLUMNS = ["organization_id", "name", "description", "price_millionths", "is_deleted"];

/** All of the organisation's changes: one walk along its rows, of which there are few. */
export async function listChanges(db: Queryable, organizationId: OrganizationId): Promise<CatalogueChange[]> {
  const rows: EventTypeRow[] = await db("event_types")
    .select("name", "description", "price_millionths", "is_deleted")
    .where("organization_id", uuidToBytes(organizationId));
  return rows.map(fromRow);
}

export async function getChange(
  db: Queryable,
  organizationId: OrganizationId,
  name: string,
): Promise<CatalogueChange | undefined> {
  const [row]: EventTypeRow[] = await db("event_types")
    .select("name", "description", "price_millionths", "is_deleted")
    .where("organization_id", uuidToBytes(organizationId))
    .where("name", Buffer.from(name))
    .limit(1);
  return row && fromRow(row);
}

/** Nobody else changes the organisation's catalogue until the transaction ends: its row is written, and so locked. */
export async function lockCatalogue(trx: Transaction, organizationId: OrganizationId): Promise<void> {
  const row = [uuidToBytes(organizationId), 1];
  await insertRows(trx, "event_catalogues", ["organization_id", "changes"], [row], { add: ["changes"] }, [
    "organization_id",
  ]);
}

export async function putChange(
  trx: Transaction,
  organizationId: OrganizationId,
  { name, description, priceMillionths, isDeleted }: CatalogueChange,
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

function fromRow(row: EventTypeRow): CatalogueChange {
  return {
    name: row.name.toString(),
    description: row.description.toString(),
    priceMillionths: Number(row.price_millionths),
    isDeleted: Number(row.is_deleted) === 1,
  };
}
