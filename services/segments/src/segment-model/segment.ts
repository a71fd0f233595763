// Defines a segment and its slug.
import { type EvaluationId, isUuid, type OrganizationId, type SegmentId } from "@muster/core";
import { AppError, invalidField } from "@muster/errors";
import type { Rule } from "../engine/rule/rule.ts";

export interface Segment {
  readonly organizationId: OrganizationId;
  readonly id: SegmentId;
  readonly slug: string;
  readonly name: string;
  /** The rule that decides memberships now. See `savedRule` and `savedVersion` for the newest one. */
  readonly rule: Rule;
  /** Starts at 1, and increments with every change of the name or the rule. */
  readonly version: number;
  /** The key of memberships, counts and backfills of this rule. */
  readonly evaluationId: EvaluationId;
  /** The rule that replaces this one once its backfill is done. */
  readonly pending: PendingRule | undefined;
  /** Whether entries of the backfill are announced, and not only later entries. */
  readonly announceBackfill: boolean;
  readonly createMs: number;
  readonly updateMs: number;
}

/** A rule that was saved, or that references another segment with a pending rule. */
export interface PendingRule {
  readonly evaluationId: EvaluationId;
  readonly rule: Rule;
  /** The version of the current rule if only a referenced segment has changed. */
  readonly version: number;
}

/** Returns the evaluation of a segment's first rule, which has the same id as the segment. */
export function firstEvaluationId(id: SegmentId): EvaluationId {
  return id as string as EvaluationId;
}

/** The number of segments that an organization may have at the same time. */
export const SEGMENTS_MAX = 1000;
/**
 * The number of instants that one organization's windows may store for one profile, over all event names. The
 * limit keeps a profile's row within a few MiB for all rules and activity.
 */
export const INSTANTS_MAX = 50_000;
/** Fits a path parameter and its column. */
const SLUG_BYTES_MAX = 255;

/**
 * Returns the letters and digits of the name, of any script, in lower case with single hyphens between.
 * Throws FIELD_INVALID if nothing is left, or if the slug has the form of an id.
 */
export function slugOf(name: string, field = "name"): string {
  const words = name
    .normalize("NFC")
    .toLowerCase()
    .split(/[^\p{L}\p{M}\p{N}]+/u);
  const slug = words.filter((word) => word !== "").join("-");
  if (slug === "") throw invalidField(field, "must contain a letter or a digit");
  if (isUuid(slug)) throw invalidField(field, "must not look like an id");
  if (Buffer.byteLength(slug) > SLUG_BYTES_MAX) throw invalidField(field, "is too long in lower case");
  return slug;
}

/** Returns SEGMENT_NAME_TAKEN. `field` is the path of the name in the request. */
export function slugTaken(slug: string, field: string, cause?: unknown): AppError {
  return new AppError("SEGMENT_NAME_TAKEN", {
    fields: [{ field, message: "a segment with this slug exists" }],
    details: { slug },
    cause,
  });
}
