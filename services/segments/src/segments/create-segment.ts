// CreateSegment: adds a segment and starts its backfill, which the owners of the shards run.
import { create } from "@bufbuild/protobuf";
import {
  CreateSegmentResponseSchema,
  type SegmentService,
} from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { ALL_SHARDS, type EvaluationId, type SegmentId, SHARD_COUNT } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { MethodHandler } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { changeSegmentCount, lockOrganization } from "../organizations/organization-store.ts";
import { ensureOrganization } from "../organizations/provision-organization.ts";
import { addBackfills } from "../rebuild/backfill-store.ts";
import { rejectExceededLimits, withPending } from "../rule-versions/change-rule.ts";
import { resolveSegments } from "../rule-versions/segment-references.ts";
import { ruleFromRequest } from "../rules/rule-proto.ts";
import { rejectLongWindow } from "../rules/rule-retention.ts";
import { firstEvaluationId, SEGMENTS_MAX, type Segment, slugOf } from "../segment-model/segment.ts";
import { insertSegment, listSegmentsOf } from "../segment-model/segment-store.ts";
import { WORK_TOPIC } from "../topics.ts";
import { NO_COUNTS, segmentToProto } from "./segment-proto.ts";

export function createSegment(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.createSegment> {
  return async (request, context) => {
    const { organizationId } = context;
    const timeZone = await deps.timeZones.for(organizationId, request.rule);
    const nowMs = deps.clock.nowMs();
    const id = deps.ids.next<SegmentId>(nowMs);
    const requested: Segment = {
      organizationId,
      id,
      evaluationId: firstEvaluationId(id),
      pending: undefined,
      slug: slugOf(request.name),
      name: request.name,
      rule: ruleFromRequest(request, "", timeZone),
      version: 1,
      announceBackfill: request.announceBackfill ?? false,
      createMs: nowMs,
      updateMs: nowMs,
    };
    await ensureOrganization(deps.database, organizationId, nowMs);
    const response = await deps.database.transaction(async (trx) => {
      const rulePath = request.rule === undefined ? "event_name" : "rule";
      const segment = await insertWithinLimit(trx, requested, rulePath, () =>
        deps.ids.next<EvaluationId>(nowMs),
      );
      const created = create(CreateSegmentResponseSchema, {
        segment: segmentToProto(segment, NO_COUNTS, () => SHARD_COUNT),
      });
      await context.saveResponse(trx, created);
      return created;
    });
    deps.bus.broadcast(WORK_TOPIC, new Uint8Array());
    return response;
  };
}

/**
 * Invariant: the segment, its backfills and the new definitions version commit together. See
 * DefinitionsCache.
 */
async function insertWithinLimit(
  trx: Transaction,
  requested: Segment,
  rulePath: string,
  nextId: () => EvaluationId,
): Promise<Segment> {
  const { organizationId } = requested;
  const organization = await lockOrganization(trx, organizationId);
  if (organization.segmentCount >= SEGMENTS_MAX) {
    throw new AppError("SEGMENT_LIMIT_REACHED", { details: { limit: String(SEGMENTS_MAX) } });
  }
  rejectLongWindow(requested.rule, organization.rawEventDays, rulePath);
  const others = await listSegmentsOf(trx, [organizationId]);
  const rule = resolveSegments(requested.rule, others, "rule");
  const segment = withPending(others, { ...requested, rule }, nextId);
  rejectExceededLimits([...others, segment]);
  await insertSegment(trx, segment);
  await addBackfills(trx, organizationId, segment.evaluationId, ALL_SHARDS);
  if (segment.pending !== undefined) {
    await addBackfills(trx, organizationId, segment.pending.evaluationId, ALL_SHARDS);
  }
  await changeSegmentCount(trx, organizationId, organization, 1);
  return segment;
}
