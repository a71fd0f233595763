// Erases an organization from the tables of a service, from its messages and from the broker, in short transactions.
// A repeated run is harmless.
import type { Bus } from "@muster/bus";
import { ALL_SHARDS, type Clock, type OrganizationId, uuidToBytes } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { eraseFromDeadLetters, eraseFromOutbox } from "../message-erasure/erase-messages.ts";
import { readPositions } from "../producer/outbox-store.ts";
import { readPublished } from "../relay/relay-store.ts";
import { deleteRows, type OrganizationTable, ROWS_AT_ONCE } from "./organization-rows-store.ts";
import { type OrganizationMessages, withoutOrganization } from "./without-organization.ts";

export interface SweepDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly database: Database;
  /** The producing service, such as "events". */
  readonly service: string;
  readonly content: OrganizationContent;
}

/** Where a service stores data of organizations. */
export interface OrganizationContent {
  /** In the order of deletion. */
  readonly tables: readonly OrganizationTable[];
  readonly messages: OrganizationMessages;
  /** The service has dead letters. */
  readonly hasConsumer: boolean;
  /** Steps before the rows go, each in its own transactions until it returns true. */
  readonly before?: readonly SweepStep[];
}

/** Returns true when nothing is left to do. */
export type SweepStep = (trx: Transaction, organizationId: OrganizationId) => Promise<boolean>;

export type ShouldContinue = () => Promise<boolean>;

/** Pause while the relay publishes older messages. */
const RELAY_POLL_MS = 100;

/** Returns false when it was stopped before the end. */
export async function sweepOrganization(
  deps: SweepDeps,
  organizationId: OrganizationId,
  shouldContinue: ShouldContinue,
): Promise<boolean> {
  const { before = [], tables } = deps.content;
  const steps: SweepStep[] = [
    ...before,
    ...tables.map(
      (table): SweepStep =>
        async (trx) =>
          (await deleteRows(trx, table, organizationId)) < ROWS_AT_ONCE,
    ),
  ];
  for (const step of steps) {
    for (let isDone = false; !isDone; ) {
      if (!(await shouldContinue())) return false;
      isDone = await deps.database.transaction((trx) => step(trx, organizationId));
    }
  }
  return sweepMessages(deps, organizationId, shouldContinue);
}

async function sweepMessages(
  { bus, clock, database, service, content }: SweepDeps,
  organizationId: OrganizationId,
  shouldContinue: ShouldContinue,
): Promise<boolean> {
  const bytes = uuidToBytes(organizationId);
  const options = {
    profileIdBytes: [bytes],
    shouldContinue,
    withdrawnType: `muster.${service}.organization.erased.v1`,
    rewrite: (type: string, data: Uint8Array) => withoutOrganization(content.messages, type, data, bytes),
  };
  const positions = await readPositions(database.reader);
  for (const shard of ALL_SHARDS) {
    if (!(await eraseFromOutbox(database, { shard, through: positions[shard] ?? 0 }, options))) return false;
  }
  if (content.hasConsumer && !(await eraseFromDeadLetters(database, options))) return false;
  // A relay can still hold an original message in memory, so the message must be published before the purge.
  for (;;) {
    const published = await readPublished(database.reader);
    if (ALL_SHARDS.every((shard) => (published.get(shard) ?? 0) >= (positions[shard] ?? 0))) break;
    if (!(await shouldContinue())) return false;
    await clock.sleep(RELAY_POLL_MS);
  }
  for (const shard of ALL_SHARDS) await bus.purge(service, shard);
  // The files of the database hold no copy either.
  await database.removeDeletedData();
  return true;
}
