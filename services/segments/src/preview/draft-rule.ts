// Reads an unsaved rule from a request and prepares its simulation.
import type { OrganizationId } from "@muster/core";
import { invalidField } from "@muster/errors";
import type { Rule } from "../engine/rule/rule.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { readRawEventDays } from "../organizations/organization-store.ts";
import { ensureOrganization } from "../organizations/provision-organization.ts";
import { readingServed, servingDefinitionsOf } from "../rule-versions/evaluations.ts";
import { resolveSegments } from "../rule-versions/segment-references.ts";
import { type RuleFields, ruleFromRequest } from "../rules/rule-proto.ts";
import { rejectLongWindow } from "../rules/rule-retention.ts";
import type { Segment } from "../segment-model/segment.ts";
import { listSegmentsOf } from "../segment-model/segment-store.ts";
import { RuleSimulation } from "../simulation/rule-simulation.ts";

export interface Draft {
  readonly simulation: RuleSimulation;
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
  const requested = ruleFromRequest(fields, "", await deps.timeZones.for(organizationId, rule));
  await ensureOrganization(deps.database, organizationId, deps.clock.nowMs());
  const rawEventDays = await readRawEventDays(deps.database.reader, organizationId);
  rejectLongWindow(requested, rawEventDays, rule === undefined ? "event_name" : "rule");
  const segments = await listSegmentsOf(deps.database.reader, [organizationId]);
  return { simulation: simulationOf(resolveSegments(requested, segments, "rule"), segments), segments };
}

/** Simulates a rule over the segments that serve reads. */
export function simulationOf(rule: Rule, segments: readonly Segment[]): RuleSimulation {
  return new RuleSimulation(readingServed(rule, segments), servingDefinitionsOf(segments));
}
