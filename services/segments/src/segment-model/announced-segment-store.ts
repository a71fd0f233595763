// Reads the segment fields of announcements, as of the transaction that appends them.
import {
  bytesToUuid,
  chunksOf,
  type EvaluationId,
  type OrganizationId,
  type SegmentId,
  uuidToBytes,
} from "@muster/core";
import type { Transaction } from "@muster/db";

export interface AnnouncedSegment {
  readonly id: SegmentId;
  readonly slug: Buffer;
  readonly version: number;
  /** Whether entries of the backfill are announced too. */
  readonly announceBackfill: boolean;
  /** The previous evaluation, until the changes of the rule switch are published. */
  readonly previousEvaluationId: EvaluationId | undefined;
}

interface EvaluationKey {
  readonly organizationId: OrganizationId;
  readonly evaluationId: EvaluationId;
}

interface Row {
  organization_id: Buffer;
  evaluation_id: Buffer;
  segment_id: Buffer;
  slug: Buffer;
  version: number;
  announce_backfill: number;
  previous_evaluation_id: Buffer | null;
}

const COLUMNS = [
  "organization_id",
  "evaluation_id",
  "segment_id",
  "slug",
  "version",
  "announce_backfill",
  "previous_evaluation_id",
] as const;

/** The number of organizations in one statement. */
const CHUNK = 200;

/**
 * Returns segments by the {@link evaluationKeyText} of their evaluations. Evaluations that do not serve reads
 * are left out, because their members were never announced or no longer count.
 */
export async function readAnnouncedSegments(
  trx: Transaction,
  keys: readonly EvaluationKey[],
): Promise<Map<string, AnnouncedSegment>> {
  const wanted = new Map<OrganizationId, Set<EvaluationId>>();
  for (const { organizationId, evaluationId } of keys) {
    const ids = wanted.get(organizationId);
    if (ids === undefined) wanted.set(organizationId, new Set([evaluationId]));
    else ids.add(evaluationId);
  }
  const found = new Map<string, AnnouncedSegment>();
  for (const organizations of chunksOf([...wanted], CHUNK)) {
    const rows = await trx("segments")
      .select<Row[]>(COLUMNS)
      .where((anyOf) => {
        for (const [organizationId, ids] of organizations) {
          anyOf.orWhere((own) =>
            own
              .where("organization_id", uuidToBytes(organizationId))
              .whereIn("evaluation_id", [...ids].map(uuidToBytes)),
          );
        }
      });
    for (const row of rows) {
      const key = {
        organizationId: bytesToUuid<OrganizationId>(row.organization_id),
        evaluationId: bytesToUuid<EvaluationId>(row.evaluation_id),
      };
      found.set(evaluationKeyText(key), {
        id: bytesToUuid<SegmentId>(row.segment_id),
        slug: row.slug,
        version: row.version,
        announceBackfill: row.announce_backfill === 1,
        previousEvaluationId:
          row.previous_evaluation_id === null
            ? undefined
            : bytesToUuid<EvaluationId>(row.previous_evaluation_id),
      });
    }
  }
  return found;
}

export function evaluationKeyText({ organizationId, evaluationId }: EvaluationKey): string {
  return `${organizationId}/${evaluationId}`;
}
