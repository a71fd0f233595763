// Finds a segment of the caller's organization by the id or slug of a path.
import { isUuid, type OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { ensureOrganization } from "../organizations/provision-organization.ts";
import type { Segment } from "../segment-model/segment.ts";
import { findSegmentById, findSegmentBySlug } from "../segment-model/segment-store.ts";

/** Throws SEGMENT_NOT_FOUND if the organization has no such segment. */
export async function findSegment(
  { clock, database }: SegmentsDeps,
  organizationId: OrganizationId,
  idOrSlug: string,
): Promise<Segment> {
  // No slug has the form of an id, so one lookup is enough.
  const find = isUuid(idOrSlug) ? findSegmentById : findSegmentBySlug;
  const existing = await find(database.reader, organizationId, idOrSlug);
  if (existing !== undefined) return existing;
  // A new organization gets the default segment.
  await ensureOrganization(database, organizationId, clock.nowMs());
  const segment = await find(database.reader, organizationId, idOrSlug);
  if (segment === undefined) throw new AppError("SEGMENT_NOT_FOUND");
  return segment;
}
