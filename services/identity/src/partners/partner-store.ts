// Contains every statement against `partners`. Secrets are sealed.
import { bytesToUuid, openSealed, type PartnerId, rowKey, sealBytes, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

/** A business that creates organizations for its customers. */
export interface Partner {
  readonly id: PartnerId;
  readonly name: string;
  readonly keyHash: Buffer;
  readonly secret: string;
  readonly createTimeMs: number;
}

interface Row {
  readonly id: Buffer;
  readonly name: Buffer;
  readonly key_hash: Buffer;
  readonly sealed_secret: Buffer;
  readonly create_time_ms: number;
}

/** Derives the keys that identity alone has, as `Platform.ownKey` does. */
export type OwnKey = (use: string) => Uint8Array;

export class PartnerStore {
  readonly #key: Uint8Array;

  constructor(ownKey: OwnKey) {
    this.#key = ownKey("partners");
  }

  async insert(trx: Transaction, { id, name, keyHash, secret, createTimeMs }: Partner): Promise<void> {
    await trx("partners").insert({
      id: uuidToBytes(id),
      name: Buffer.from(name, "utf8"),
      key_hash: keyHash,
      sealed_secret: sealBytes(rowKey(this.#key, id), [Buffer.from(secret, "utf8")], id),
      create_time_ms: createTimeMs,
    });
  }

  async findByKey(queryable: Queryable, keyHash: Buffer): Promise<Partner | undefined> {
    const [row] = await queryable("partners")
      .select<Row[]>("id", "name", "key_hash", "sealed_secret", "create_time_ms")
      .where("key_hash", keyHash);
    if (row === undefined) return undefined;
    const id = bytesToUuid<PartnerId>(row.id);
    return {
      id,
      name: row.name.toString("utf8"),
      keyHash: row.key_hash,
      secret: openSealed(rowKey(this.#key, id), row.sealed_secret, id).toString("utf8"),
      createTimeMs: row.create_time_ms,
    };
  }
}
