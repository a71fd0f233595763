// Reads the segment fields of announcements, as of the transaction that appends them.
import { bytesToUuid, type OrganizationId, type SegmentId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";

export interface AnnouncedSegment {
  readonly id: SegmentId;
  readonly slug: Buffer;
  readonly version: number;
  /** Whether entries of the backfill are announced too. */
  readonly announceBackfill: boolean;
  /** The previous evaluation, until the changes of the rule switch are published. */
  readonly previousEvaluationId: SegmentId | undefined;
}

interface SegmentKey {
  readonly organizationId: OrganizationId;
  readonly segmentId: SegmentId;
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
 * Returns segments by the {@link segmentKeyText} of their evaluations. Evaluations that do not serve reads
 * are left out, because their members were never announced or no longer count.
 */
export async function readAnnouncedSegments(
  trx: Transaction,
  keys: readonly SegmentKey[],
): Promise<Map<string, AnnouncedSegment>> {
  const wanted = new Map<OrganizationId, Set<SegmentId>>();
  for (const { organizationId, segmentId } of keys) {
    const ids = wanted.get(organizationId);
    if (ids === undefined) wanted.set(organizationId, new Set([segmentId]));
    else ids.add(segmentId);
  }
  const found = new Map<string, AnnouncedSegment>();
  const organizations = [...wanted];
  for (let start = 0; start < organizations.length; start += CHUNK) {
    const rows = await trx("segments")
      .select<Row[]>(COLUMNS)
      .where((anyOf) => {
        for (const [organizationId, ids] of organizations.slice(start, start + CHUNK)) {
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
        segmentId: bytesToUuid<SegmentId>(row.evaluation_id),
      };
      found.set(segmentKeyText(key), {
        id: bytesToUuid<SegmentId>(row.segment_id),
        slug: row.slug,
        version: row.version,
        announceBackfill: row.announce_backfill === 1,
        previousEvaluationId:
          row.previous_evaluation_id === null
            ? undefined
            : bytesToUuid<SegmentId>(row.previous_evaluation_id),
      });
    }
  }
  return found;
}

export function segmentKeyText({ organizationId, segmentId }: SegmentKey): string {
  return `${organizationId}/${segmentId}`;
}
