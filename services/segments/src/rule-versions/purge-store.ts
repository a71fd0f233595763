// Stores purges: every statement against `segment_purges`, with a row for each shard of a deleted or replaced
// evaluation.

import {
  ALL_SHARDS,
  bytesToUuid,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  uuidToBytes,
} from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import { NO_PROFILE } from "../profiles/profile-key.ts";

/** Progress of an evaluation's purge in a shard. */
export interface Purge {
  readonly organizationId: OrganizationId;
  readonly evaluationId: EvaluationId;
  readonly shard: number;
  /** Profiles up to and including this one are done. */
  readonly afterProfileId: ProfileId;
  /** Set for the evaluation of a replaced rule. */
  readonly ruleSwitch: RuleSwitch | undefined;
}

/** The switch from a replaced rule to its successor, with differences left to publish. */
export interface RuleSwitch {
  /** The evaluation that serves now. */
  readonly successorId: EvaluationId;
  /** Whether entries are published; exits always are. */
  readonly publishesEntries: boolean;
}

interface Row {
  organization_id: Buffer;
  evaluation_id: Buffer;
  shard: number;
  after_profile_id: Buffer;
  successor_id: Buffer | null;
  published_changes: number;
}

const COLUMNS = [
  "organization_id",
  "evaluation_id",
  "shard",
  "after_profile_id",
  "successor_id",
  "published_changes",
] as const;
const KEY = ["organization_id", "shard", "evaluation_id"] as const;
/** Values of the column `published_changes`: none, exits, exits and entries. */
const [NOTHING, EXITS, ALL] = [0, 1, 2];

export async function addPurges(
  trx: Transaction,
  organizationId: OrganizationId,
  evaluationId: EvaluationId,
  ruleSwitch?: RuleSwitch,
): Promise<void> {
  const successorId = ruleSwitch === undefined ? null : uuidToBytes(ruleSwitch.successorId);
  const published = ruleSwitch === undefined ? NOTHING : ruleSwitch.publishesEntries ? ALL : EXITS;
  const rows = ALL_SHARDS.map((shard) => [
    uuidToBytes(organizationId),
    uuidToBytes(evaluationId),
    shard,
    uuidToBytes(NO_PROFILE),
    ...[successorId, published],
  ]);
  await insertRows(trx, "segment_purges", COLUMNS, rows, "keep", KEY);
}

/** Unfinished purges, grouped by organization and shard. Purges of rule switches come first and alone. */
export async function listPurges(db: Queryable, shards: readonly number[], limit: number): Promise<Purge[]> {
  const published = await db("segment_purges")
    .select<Row[]>(COLUMNS)
    .whereIn("published_changes", [EXITS, ALL])
    .whereIn("shard", [...shards])
    .orderBy(["organization_id", "shard", "evaluation_id"])
    .limit(limit);
  if (published.length > 0) return published.map(fromRow);
  const rows = await db("segment_purges")
    .select<Row[]>(COLUMNS)
    .whereIn("shard", [...shards])
    .orderBy(["organization_id", "shard", "evaluation_id"])
    .limit(limit);
  return rows.map(fromRow);
}

/** Purges of an organization's shard that belong to rule switches. */
export async function listRuleSwitches(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
): Promise<(Purge & { readonly ruleSwitch: RuleSwitch })[]> {
  const rows = await db("segment_purges")
    .select<Row[]>(COLUMNS)
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .andWhere("published_changes", ">", NOTHING);
  return rows
    .map(fromRow)
    .flatMap(({ ruleSwitch, ...purge }) => (ruleSwitch ? [{ ...purge, ruleSwitch }] : []));
}

/** Unfinished purges of an evaluation, in all shards. */
export async function listPurgesOf(
  db: Queryable,
  organizationId: OrganizationId,
  evaluationId: EvaluationId,
): Promise<Purge[]> {
  const rows = await db("segment_purges")
    .select<Row[]>(COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("shard", [...ALL_SHARDS])
    .andWhere("evaluation_id", uuidToBytes(evaluationId));
  return rows.map(fromRow);
}

/** Moves each purge on to `throughProfileId`; undefined deletes them. */
export async function advancePurges(
  trx: Transaction,
  purges: readonly Purge[],
  throughProfileId: ProfileId | undefined,
): Promise<void> {
  for (const { organizationId, evaluationId, shard } of purges) {
    const row = trx("segment_purges").where({
      organization_id: uuidToBytes(organizationId),
      evaluation_id: uuidToBytes(evaluationId),
      shard,
    });
    if (throughProfileId === undefined) await row.delete();
    else await row.update({ after_profile_id: uuidToBytes(throughProfileId) });
  }
}

function fromRow(row: Row): Purge {
  return {
    organizationId: bytesToUuid(row.organization_id),
    evaluationId: bytesToUuid(row.evaluation_id),
    shard: row.shard,
    afterProfileId: bytesToUuid(row.after_profile_id),
    ruleSwitch:
      row.successor_id === null
        ? undefined
        : { successorId: bytesToUuid(row.successor_id), publishesEntries: row.published_changes === ALL },
  };
}
