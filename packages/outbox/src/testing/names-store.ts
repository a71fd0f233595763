// Stores unique names: the effect of the writes in the tests of the write path.
import type { Queryable, Transaction } from "@muster/db";

export async function insertName(trx: Transaction, name: string): Promise<void> {
  await trx("names").insert({ name: Buffer.from(name, "utf8") });
}

export async function hasName(db: Queryable, name: string): Promise<boolean> {
  return (await db("names").where("name", Buffer.from(name, "utf8")).first("name")) !== undefined;
}
