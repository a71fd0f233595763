// Reads an unsaved rule from a request and prepares its simulation.
import type { OrganizationId } from "@muster/core";
import { invalidField } from "@muster/errors";
import type { SegmentsDeps } from "../deps.ts";
import { ensureTouched, readRawEventDays } from "../segments/organization-store.ts";
import { type RuleFields, ruleOfRequest } from "../segments/rule-proto.ts";
import { refuseLongWindow } from "../segments/rule-retention.ts";
import type { Segment } from "../segments/segment.ts";
import { resolveSegments } from "../segments/segment-references.ts";
import { listSegmentsOf } from "../segments/segment-store.ts";
import { Trial } from "./trial.ts";

export interface Draft {
  readonly trial: Trial;
  /** All segments of the organization. */
  readonly segments: readonly Segment[];
}

/** Rejects every rule that could not be saved either, with FIELD_INVALID. */
export async function draftRule(
  deps: SegmentsDeps,
  organizationId: OrganizationId,
  fields: RuleFields,
): Promise<Draft> {
  const { rule, eventName, minCount, withinDays } = fields;
  if (rule !== undefined && (eventName ?? minCount ?? withinDays) !== undefined) {
    throw invalidField("rule", "cannot be combined with event_name, min_count and within_days");
  }
  const asked = ruleOfRequest(fields, "", await deps.timeZones.for(organizationId, rule));
  await ensureTouched(deps.database, organizationId, deps.clock.nowMs());
  const rawEventDays = await readRawEventDays(deps.database.reader, organizationId);
  refuseLongWindow(asked, rawEventDays, rule === undefined ? "event_name" : "rule");
  const segments = await listSegmentsOf(deps.database.reader, [organizationId]);
  return { trial: new Trial(resolveSegments(asked, segments, "rule"), segments), segments };
}
