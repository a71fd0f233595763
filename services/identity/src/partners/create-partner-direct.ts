// Creates a partner for the command line, directly in identity's database.
import { newPartnerKey, newPartnerSecret, partnerKeyHash } from "@muster/authz";
import { assert, type Clock, type IdSource, type PartnerId } from "@muster/core";
import type { Database } from "@muster/db";
import { invalidField } from "@muster/errors";
import { type OwnKey, PartnerStore } from "./partner-store.ts";

const NAME_BYTES_MAX = 255;

interface CreateDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly ownKey: OwnKey;
}

export interface CreatedPartner {
  readonly id: PartnerId;
  /** Names the partner. Returned here, and stored as a hash. */
  readonly key: string;
  /** Signs requests. Returned here, and stored sealed. */
  readonly secret: string;
}

export async function createPartnerDirect(
  { database, clock, ids, ownKey }: CreateDeps,
  name: string,
): Promise<CreatedPartner> {
  const bytes = Buffer.byteLength(name, "utf8");
  if (bytes === 0 || bytes > NAME_BYTES_MAX) {
    throw invalidField("name", `must be 1 to ${NAME_BYTES_MAX} bytes`);
  }
  const createTimeMs = clock.nowMs();
  const id = ids.next<PartnerId>(createTimeMs);
  const key = newPartnerKey();
  const secret = newPartnerSecret();
  const keyHash = partnerKeyHash(key);
  assert(keyHash !== undefined, "a new key has the form of a key");
  const store = new PartnerStore(ownKey);
  await database.transaction((trx) => store.insert(trx, { id, name, keyHash, secret, createTimeMs }));
  return { id, key, secret };
}
