// Every statement against `organizations`.
import { bytesToUuid, type OrganizationId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import type { Organization } from "./organization.ts";

interface Row {
  readonly id: Buffer;
  readonly name: Buffer;
  readonly create_time_ms: number;
}

export class OrganizationStore {
  /** Rejects with a unique violation when the id is there. */
  async insert(trx: Transaction, organization: Organization): Promise<void> {
    await trx("organizations").insert({
      id: uuidToBytes(organization.id),
      name: Buffer.from(organization.name, "utf8"),
      create_time_ms: organization.createTimeMs,
    });
  }

  async find(queryable: Queryable, id: OrganizationId): Promise<Organization | undefined> {
    const row = await queryable("organizations")
      .select("id", "name", "create_time_ms")
      .where("id", uuidToBytes(id))
      .first<Row | undefined>();
    if (row === undefined) return undefined;
    return { id: bytesToUuid(row.id), name: row.name.toString("utf8"), createTimeMs: row.create_time_ms };
  }
}
