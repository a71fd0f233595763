// A segment as the service keeps it: its name, its slug, and the default that every organisation starts with.
import { createHash } from "node:crypto";
import { isUuid, type OrganizationId, type SegmentId, uuidToBytes, uuidV7 } from "@muster/core";
import { invalidField } from "@muster/errors";
import { matcherOf } from "../engine/matcher.ts";
import type { Rule } from "../engine/rule.ts";

export interface Segment {
  readonly organizationId: OrganizationId;
  readonly id: SegmentId;
  readonly slug: string;
  readonly name: string;
  /** What says who is a member now; see `savedRule` and `savedVersion` for what was saved last. */
  readonly rule: Rule;
  /** Counts the rules from 1. */
  readonly version: number;
  /** What memberships, counts and backfills of this rule are kept under: not the segment's own id. */
  readonly evaluationId: SegmentId;
  /** What is to take over once its past is counted. */
  readonly pending: PendingRule | undefined;
  /** Who is a member because of the past is announced too, not only who enters later. */
  readonly announceBackfill: boolean;
  readonly createMs: number;
  readonly updateMs: number;
}

/** A rule that was saved, or that reads another segment's that was. */
export interface PendingRule {
  readonly evaluationId: SegmentId;
  readonly rule: Rule;
  /** That of the serving rule when only another segment's has changed. */
  readonly version: number;
}

/** Segments that one organisation may have at once. */
export const SEGMENTS_MAX = 1000;
/**
 * Instants that one organisation's windows may keep of one profile, over all event names: a profile's row
 * stays within a few MiB, whatever is asked and whatever it does.
 */
export const INSTANTS_MAX = 50_000;
/** Fits a path parameter and its column. */
const SLUG_BYTES_MAX = 255;

/**
 * The name's letters and digits, of any script, in lower case with single hyphens between.
 * FIELD_INVALID when nothing is left, or when it could be mistaken for an id.
 */
export function slugOf(name: string, field = "name"): string {
  const words = name
    .normalize("NFC")
    .toLowerCase()
    .split(/[^\p{L}\p{M}\p{N}]+/u);
  const slug = words.filter((word) => word !== "").join("-");
  if (slug === "") throw invalidField(field, "must hold a letter or a digit");
  if (isUuid(slug)) throw invalidField(field, "must not look like an id");
  if (Buffer.byteLength(slug) > SLUG_BYTES_MAX) throw invalidField(field, "is too long in lower case");
  return slug;
}

/**
 * The segment that every organisation has from the start.
 * Invariant: its id follows from the organisation's, so that two makers at once make the same row; and it
 * is older than the organisation by a millisecond, so it comes first.
 */
export function defaultSegment(organizationId: OrganizationId, nowMs: number): Segment {
  const bytes = uuidToBytes(organizationId);
  const tail = createHash("sha256").update(bytes).update("abandoned-cart").digest();
  const id = uuidV7(bytes.readUIntBE(0, 6) - 1, tail) as SegmentId;
  return {
    organizationId,
    id,
    evaluationId: id,
    pending: undefined,
    slug: "abandoned-cart",
    name: "Abandoned cart",
    rule: {
      kind: "performed_then_not",
      matcher: matcherOf("cart.added"),
      thenNot: matcherOf("order.completed"),
      heldForMs: 0,
    },
    version: 1,
    announceBackfill: false,
    createMs: nowMs,
    updateMs: nowMs,
  };
}
