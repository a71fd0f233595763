// Defines the segments that organizations start with.
import { createHash } from "node:crypto";
import { type OrganizationId, type SegmentId, uuidToBytes, uuidV7 } from "@muster/core";
import { matcherOf } from "../engine/rule/matcher.ts";
import type { Rule } from "../engine/rule/rule.ts";
import { firstEvaluationId, type Segment, slugOf } from "./segment.ts";

interface SegmentTemplate {
  readonly name: string;
  readonly rule: Rule;
}

const DAY_MS = 86_400_000;

const ABANDONED_CART: SegmentTemplate = {
  name: "Abandoned cart",
  rule: {
    kind: "performed_then_not",
    matcher: matcherOf("cart.added"),
    thenNot: matcherOf("order.completed"),
    heldForMs: 0,
  },
};

/** The segments of an organization that a partner has provisioned, besides the segment of every organization. */
const OF_PROVISIONED: readonly SegmentTemplate[] = [
  { name: "Active in the last 7 days", rule: activeDays(1, 7) },
  { name: "Active on 5 of the last 30 days", rule: activeDays(5, 30) },
  { name: "Inactive for 30 days", rule: { kind: "inactive_for", ms: 30 * DAY_MS } },
];

/** Events of any name count. A provisioned organization has the time zone UTC at first. */
function activeDays(atLeast: number, ofLastDays: number): Rule {
  return { kind: "active_days", matcher: matcherOf(undefined), atLeast, ofLastDays, timeZone: "UTC" };
}

/** Returns the segment that every organization starts with. */
export function defaultSegment(organizationId: OrganizationId, nowMs: number): Segment {
  return segmentOf(ABANDONED_CART, organizationId, nowMs);
}

/** Returns the segments that a provisioned organization starts with. */
export function provisionedSegments(organizationId: OrganizationId, nowMs: number): Segment[] {
  return [ABANDONED_CART, ...OF_PROVISIONED].map((template) => segmentOf(template, organizationId, nowMs));
}

/**
 * Invariant: the segment id is derived from the organization id, so that concurrent creators insert the same
 * row. The id is a millisecond older than the organization, so that the segment is listed first.
 */
function segmentOf({ name, rule }: SegmentTemplate, organizationId: OrganizationId, nowMs: number): Segment {
  const slug = slugOf(name);
  const bytes = uuidToBytes(organizationId);
  const tail = createHash("sha256").update(bytes).update(slug).digest();
  const id = uuidV7(bytes.readUIntBE(0, 6) - 1, tail) as SegmentId;
  return {
    organizationId,
    id,
    evaluationId: firstEvaluationId(id),
    pending: undefined,
    slug,
    name,
    rule,
    version: 1,
    announceBackfill: false,
    createMs: nowMs,
    updateMs: nowMs,
  };
}
