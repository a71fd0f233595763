// Contains every statement against `provisionings`. The content of a request is sealed, and goes when the work is done.
import { createHmac } from "node:crypto";
import {
  bytesToUuid,
  type OrganizationId,
  openSealed,
  type PartnerId,
  rowKey,
  sealBytes,
  type UserId,
  uuidToBytes,
} from "@muster/core";
import { forUpdate, insertRows, type Queryable, type Transaction } from "@muster/db";
import type { ProvisionedOwner, Provisioning, ProvisioningContent, ProvisioningKey } from "./provisioning.ts";

const TABLE = "provisionings";
const COLUMNS = [
  "partner_id",
  "external_id",
  "content_digest",
  "organization_id",
  "owner_id",
  "is_invited",
  "input",
  "create_time_ms",
] as const;

interface Row {
  readonly partner_id: Buffer;
  readonly external_id: Buffer;
  readonly content_digest: Buffer;
  readonly organization_id: Buffer;
  readonly owner_id: Buffer | null;
  readonly is_invited: number | null;
  readonly input: Buffer | null;
  readonly create_time_ms: number;
}

/** A provisioning as stored. */
export type StoredProvisioning = Omit<Provisioning, "content">;

/** A provisioning that a worker may take over. */
export interface DueProvisioning extends Provisioning {
  readonly dueTimeMs: number;
}

export class ProvisioningStore {
  readonly #key: Uint8Array;

  /** `key` is the key of the service for provisionings. */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** Does nothing when the partner has used the external id. */
  async insertOnce(trx: Transaction, provisioning: Provisioning, dueTimeMs: number): Promise<void> {
    const { organizationId, content, createTimeMs } = provisioning;
    const columns = {
      ...keyOf(provisioning),
      content_digest: this.#digest(content),
      organization_id: uuidToBytes(organizationId),
      input: this.#seal(organizationId, content),
      create_time_ms: createTimeMs,
      due_time_ms: dueTimeMs,
    };
    const key = ["partner_id", "external_id"];
    await insertRows(trx, TABLE, Object.keys(columns), [Object.values(columns)], "keep", key);
  }

  /** Locked until the transaction ends. */
  async lock(trx: Transaction, key: ProvisioningKey): Promise<StoredProvisioning | undefined> {
    return (await this.#lockRows(trx, key)).map(fromRow)[0];
  }

  /** Whether the locked provisioning has this content. */
  async hasContent(trx: Transaction, key: ProvisioningKey, content: ProvisioningContent): Promise<boolean> {
    const [row] = await this.#lockRows(trx, key);
    return row?.content_digest.equals(this.#digest(content)) === true;
  }

  /** The work is done. */
  async finish(trx: Transaction, key: ProvisioningKey, owner: ProvisionedOwner): Promise<void> {
    await trx(TABLE)
      .where(keyOf(key))
      .update({
        owner_id: uuidToBytes(owner.id),
        is_invited: owner.isInvited ? 1 : 0,
        input: null,
        due_time_ms: null,
      });
  }

  async delete(trx: Transaction, key: ProvisioningKey): Promise<void> {
    await trx(TABLE).where(keyOf(key)).delete();
  }

  async listDue(queryable: Queryable, nowMs: number, limit: number): Promise<DueProvisioning[]> {
    const rows: (Row & { due_time_ms: number })[] = await queryable(TABLE)
      .select(...COLUMNS, "due_time_ms")
      .where("due_time_ms", "<=", nowMs)
      .orderBy(["due_time_ms", "organization_id"])
      .limit(limit);
    return rows.flatMap((row) => {
      if (row.input === null) return [];
      const content = this.#open(bytesToUuid(row.organization_id), row.input);
      return [{ ...fromRow(row), content, dueTimeMs: row.due_time_ms }];
    });
  }

  /** Takes the work over until `untilMs`; false when another worker has. */
  async lease(trx: Transaction, due: DueProvisioning, untilMs: number): Promise<boolean> {
    const taken = await trx(TABLE)
      .where({ ...keyOf(due), due_time_ms: due.dueTimeMs })
      .update({ due_time_ms: untilMs });
    return taken === 1;
  }

  /** Makes all work due, because the processes that did it have ended. */
  async releaseAll(trx: Transaction, nowMs: number): Promise<void> {
    await trx(TABLE).where("due_time_ms", ">", nowMs).update({ due_time_ms: nowMs });
  }

  #lockRows(trx: Transaction, key: ProvisioningKey): Promise<Row[]> {
    return forUpdate(trx, trx(TABLE).select<Row[]>(COLUMNS).where(keyOf(key)));
  }

  /** Keyed, so that nobody without the key finds an address by its digest. */
  #digest({ organizationName, ownerEmail, ownerName }: ProvisioningContent): Buffer {
    const text = JSON.stringify([organizationName, ownerEmail, ownerName]);
    return createHmac("sha256", rowKey(this.#key, "digest")).update(text).digest();
  }

  #seal(id: OrganizationId, content: ProvisioningContent): Buffer {
    return sealBytes(rowKey(this.#key, id), [Buffer.from(JSON.stringify(content), "utf8")], id);
  }

  #open(id: OrganizationId, sealed: Uint8Array): ProvisioningContent {
    return JSON.parse(openSealed(rowKey(this.#key, id), sealed, id).toString("utf8"));
  }
}

function keyOf({ partnerId, externalId }: ProvisioningKey) {
  return { partner_id: uuidToBytes(partnerId), external_id: Buffer.from(externalId, "utf8") };
}

function fromRow(row: Row): StoredProvisioning {
  const owner =
    row.is_invited === null
      ? undefined
      : {
          id: row.owner_id === null ? undefined : bytesToUuid<UserId>(row.owner_id),
          isInvited: row.is_invited === 1,
        };
  return {
    partnerId: bytesToUuid<PartnerId>(row.partner_id),
    externalId: row.external_id.toString("utf8"),
    organizationId: bytesToUuid<OrganizationId>(row.organization_id),
    createTimeMs: row.create_time_ms,
    owner,
  };
}
