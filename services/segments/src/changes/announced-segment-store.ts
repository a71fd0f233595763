// What an announcement says of a segment beside the change itself, as of the transaction that makes it.
import { bytesToUuid, type OrganizationId, type SegmentId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";

export interface AnnouncedSegment {
  readonly id: SegmentId;
  readonly slug: Buffer;
  readonly version: number;
  /** Members by their past are announced too. */
  readonly announceBackfill: boolean;
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
}

/** Organisations in one statement. */
const CHUNK = 200;

/**
 * By {@link segmentKeyText} of their evaluations. Those that do not serve are left out: nobody heard of their
 * members yet, or does any more.
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
      .select<Row[]>("organization_id", "evaluation_id", "segment_id", "slug", "version", "announce_backfill")
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
      const { slug, version } = row;
      const id = bytesToUuid<SegmentId>(row.segment_id);
      found.set(segmentKeyText(key), { id, slug, version, announceBackfill: row.announce_backfill === 1 });
    }
  }
  return found;
}

export function segmentKeyText({ organizationId, segmentId }: SegmentKey): string {
  return `${organizationId}/${segmentId}`;
}
