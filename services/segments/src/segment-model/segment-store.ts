// Holds every statement against `segments`.
import {
  bytesToUuid,
  type EvaluationId,
  type OrganizationId,
  type SegmentId,
  uuidToBytes,
} from "@muster/core";
import { insertRows, isUniqueViolation, type OnConflict, type Queryable, type Transaction } from "@muster/db";
import { decodeRule, encodeRule } from "../rules/rule-proto.ts";
import { type Segment, slugTaken } from "./segment.ts";

const COLUMNS = [
  "organization_id",
  "segment_id",
  "slug",
  "name",
  "rule",
  "version",
  "evaluation_id",
  "pending_evaluation_id",
  "pending_rule",
  "pending_version",
  "announce_backfill",
  "create_ms",
  "update_ms",
] as const;

interface Row {
  organization_id: Buffer;
  segment_id: Buffer;
  slug: Buffer;
  name: Buffer;
  rule: string;
  version: number;
  evaluation_id: Buffer;
  pending_evaluation_id: Buffer | null;
  pending_rule: string | null;
  pending_version: number | null;
  announce_backfill: number;
  create_ms: number;
  update_ms: number;
}

/** Throws SEGMENT_NAME_TAKEN if another segment has the slug. */
export async function insertSegment(trx: Transaction, segment: Segment): Promise<void> {
  try {
    await insert(trx, segment, "fail");
  } catch (error) {
    throw isUniqueViolation(error, "segments_slug") ? slugTaken(segment.slug, "name", error) : error;
  }
}

/** Saves all fields that can change. The slug is free, because the caller holds the organization's lock. */
export async function updateSegmentRow(trx: Transaction, segment: Segment): Promise<void> {
  const key = { organization_id: uuidToBytes(segment.organizationId), segment_id: uuidToBytes(segment.id) };
  const row = {
    slug: Buffer.from(segment.slug, "utf8"),
    name: Buffer.from(segment.name, "utf8"),
    rule: encodeRule(segment.rule),
    version: segment.version,
    ...evaluationColumns(segment),
    update_ms: segment.updateMs,
  };
  await trx("segments").where(key).update(row);
}

function evaluationColumns({ evaluationId, pending }: Segment) {
  return {
    evaluation_id: uuidToBytes(evaluationId),
    pending_evaluation_id: pending === undefined ? null : uuidToBytes(pending.evaluationId),
    pending_rule: pending === undefined ? null : encodeRule(pending.rule),
    pending_version: pending?.version ?? null,
  };
}

/** Inserts the segment unless the row exists already. */
export async function insertSegmentOnce(trx: Transaction, segment: Segment): Promise<void> {
  await insert(trx, segment, "keep");
}

async function insert(trx: Transaction, segment: Segment, onConflict: OnConflict): Promise<void> {
  const row = [
    uuidToBytes(segment.organizationId),
    uuidToBytes(segment.id),
    Buffer.from(segment.slug, "utf8"),
    Buffer.from(segment.name, "utf8"),
    encodeRule(segment.rule),
    segment.version,
    ...Object.values(evaluationColumns(segment)),
    segment.announceBackfill ? 1 : 0,
    segment.createMs,
    segment.updateMs,
  ];
  await insertRows(trx, "segments", COLUMNS, [row], onConflict, ["organization_id", "segment_id"]);
}

/** Returns false if the segment does not exist. */
export async function deleteSegmentRow(
  trx: Transaction,
  organizationId: OrganizationId,
  segmentId: SegmentId,
): Promise<boolean> {
  const deleted = await trx("segments")
    .where({ organization_id: uuidToBytes(organizationId), segment_id: uuidToBytes(segmentId) })
    .delete();
  return deleted > 0;
}

export async function findSegmentById(
  db: Queryable,
  organizationId: OrganizationId,
  segmentId: string,
): Promise<Segment | undefined> {
  const key = { organization_id: uuidToBytes(organizationId), segment_id: uuidToBytes(segmentId) };
  const row = await db("segments").where(key).first<Row | undefined>(COLUMNS);
  return row && fromRow(row);
}

export async function findSegmentBySlug(
  db: Queryable,
  organizationId: OrganizationId,
  slug: string,
): Promise<Segment | undefined> {
  const key = { organization_id: uuidToBytes(organizationId), slug: Buffer.from(slug, "utf8") };
  const row = await db("segments").where(key).first<Row | undefined>(COLUMNS);
  return row && fromRow(row);
}

/** Returns the existing segments with the given slugs. */
export async function listSegmentsBySlugs(
  db: Queryable,
  organizationId: OrganizationId,
  slugs: readonly string[],
): Promise<Segment[]> {
  const rows = await db("segments")
    .select<Row[]>(COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn(
      "slug",
      slugs.map((slug) => Buffer.from(slug, "utf8")),
    );
  return rows.map(fromRow);
}

/** Oldest first, after the given id. */
export async function listSegmentsPage(
  db: Queryable,
  organizationId: OrganizationId,
  afterId: string | undefined,
  limit: number,
): Promise<Segment[]> {
  return (await pageOf(db, organizationId, afterId, limit)).map(fromRow);
}

/** Returns segments that are served by the given evaluations, oldest first, after the given id. */
export async function listSegmentsByEvaluations(
  db: Queryable,
  organizationId: OrganizationId,
  evaluationIds: readonly EvaluationId[],
  afterId: string | undefined,
  limit: number,
): Promise<Segment[]> {
  const page = pageOf(db, organizationId, afterId, limit);
  return (await page.whereIn("evaluation_id", evaluationIds.map(uuidToBytes))).map(fromRow);
}

/** Returns the existing segments with the given ids, oldest first, after the given id. */
export async function listSegmentsByIds(
  db: Queryable,
  organizationId: OrganizationId,
  segmentIds: readonly SegmentId[],
  afterId: string | undefined,
  limit: number,
): Promise<Segment[]> {
  const page = pageOf(db, organizationId, afterId, limit);
  return (await page.whereIn("segment_id", segmentIds.map(uuidToBytes))).map(fromRow);
}

function pageOf(db: Queryable, organizationId: OrganizationId, afterId: string | undefined, limit: number) {
  const query = db("segments")
    .select<Row[]>(COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .orderBy("segment_id")
    .limit(limit);
  if (afterId !== undefined) query.andWhere("segment_id", ">", uuidToBytes(afterId));
  return query;
}

/** Returns all segments of several organizations: at most SEGMENTS_MAX each. */
export async function listSegmentsOf(
  db: Queryable,
  organizationIds: readonly OrganizationId[],
): Promise<Segment[]> {
  const rows = await db("segments")
    .select<Row[]>(COLUMNS)
    .whereIn("organization_id", organizationIds.map(uuidToBytes));
  return rows.map(fromRow);
}

/** Evaluation ids of the organization's pending rules. */
export async function listPendingEvaluationIds(
  db: Queryable,
  organizationId: OrganizationId,
): Promise<Set<EvaluationId>> {
  const rows = await db("segments")
    .where("organization_id", uuidToBytes(organizationId))
    .whereNotNull("pending_evaluation_id")
    .select<{ pending_evaluation_id: Buffer }[]>("pending_evaluation_id");
  return new Set(rows.map((row) => bytesToUuid<EvaluationId>(row.pending_evaluation_id)));
}

/** Lists all evaluations with possible membership rows in the shard: current, pending and purged ones. */
export async function listEvaluationIds(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
): Promise<EvaluationId[]> {
  const key = { organization_id: uuidToBytes(organizationId) };
  const segments = await db("segments")
    .select<Pick<Row, "evaluation_id" | "pending_evaluation_id">[]>("evaluation_id", "pending_evaluation_id")
    .where(key);
  const purged = await db("segment_purges")
    .select<{ evaluation_id: Buffer }[]>("evaluation_id")
    .where({ ...key, shard });
  const ids = [
    ...segments.flatMap(({ evaluation_id, pending_evaluation_id }) => [
      evaluation_id,
      pending_evaluation_id ?? evaluation_id,
    ]),
    ...purged.map(({ evaluation_id }) => evaluation_id),
  ];
  return [...new Set(ids.map((id) => bytesToUuid<EvaluationId>(id)))].sort();
}

/** Sets the previous evaluation of a segment, until the changes of its rule switch are published. */
export async function savePreviousEvaluation(
  trx: Transaction,
  organizationId: OrganizationId,
  segmentId: SegmentId,
  previousId: EvaluationId,
): Promise<void> {
  await trx("segments")
    .where({ organization_id: uuidToBytes(organizationId), segment_id: uuidToBytes(segmentId) })
    .update({ previous_evaluation_id: uuidToBytes(previousId) });
}

export async function clearPreviousEvaluation(
  trx: Transaction,
  organizationId: OrganizationId,
  previousId: EvaluationId,
): Promise<void> {
  await trx("segments")
    .where({ organization_id: uuidToBytes(organizationId), previous_evaluation_id: uuidToBytes(previousId) })
    .update({ previous_evaluation_id: null });
}

/** Lists the segments with a rule switch in progress. */
export async function listSwitchingSegments(
  db: Queryable,
  organizationId: OrganizationId,
): Promise<Set<SegmentId>> {
  const rows = await db("segments")
    .select<{ segment_id: Buffer }[]>("segment_id")
    .where("organization_id", uuidToBytes(organizationId))
    .whereNotNull("previous_evaluation_id");
  return new Set(rows.map((row) => bytesToUuid<SegmentId>(row.segment_id)));
}

function fromRow(row: Row): Segment {
  const { pending_evaluation_id: pendingId, pending_rule, pending_version } = row;
  const isPending = pendingId !== null && pending_rule !== null && pending_version !== null;
  return {
    organizationId: bytesToUuid(row.organization_id),
    id: bytesToUuid(row.segment_id),
    slug: row.slug.toString("utf8"),
    name: row.name.toString("utf8"),
    rule: decodeRule(row.rule),
    version: row.version,
    evaluationId: bytesToUuid(row.evaluation_id),
    pending: isPending
      ? { evaluationId: bytesToUuid(pendingId), rule: decodeRule(pending_rule), version: pending_version }
      : undefined,
    announceBackfill: row.announce_backfill === 1,
    createMs: row.create_ms,
    updateMs: row.update_ms,
  };
}
