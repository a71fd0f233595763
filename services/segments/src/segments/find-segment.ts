// The segment that a path names, by id or slug, in the caller's organisation.
import { isUuid, type OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { SegmentsDeps } from "../deps.ts";
import { ensureTouched } from "./organization-store.ts";
import type { Segment } from "./segment.ts";
import { findSegmentById, findSegmentBySlug } from "./segment-store.ts";

/** SEGMENT_NOT_FOUND when there is none. */
export async function findSegment(
  { clock, database }: SegmentsDeps,
  organizationId: OrganizationId,
  idOrSlug: string,
): Promise<Segment> {
  // No slug looks like an id, so one lookup tells.
  const find = isUuid(idOrSlug) ? findSegmentById : findSegmentBySlug;
  const known = await find(database.reader, organizationId, idOrSlug);
  if (known !== undefined) return known;
  // An organisation never touched before gets its default segment.
  await ensureTouched(database, organizationId, clock.nowMs());
  const segment = await find(database.reader, organizationId, idOrSlug);
  if (segment === undefined) throw new AppError("SEGMENT_NOT_FOUND");
  return segment;
}
