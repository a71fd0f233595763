// CreateSegment: defines a segment. Counting the past begins at once, in the shards' owners.
import { create } from "@bufbuild/protobuf";
import {
  CreateSegmentResponseSchema,
  type SegmentService,
} from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { type OrganizationId, type SegmentId, SHARD_COUNT } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { MethodHandler } from "@muster/rpc";
import { ALL_SHARDS, addBackfills } from "../backfills/backfill-store.ts";
import type { SegmentsDeps } from "../deps.ts";
import { Definitions } from "../engine/definitions.ts";
import { WORK_TOPIC } from "../folder.ts";
import { ensureTouched, lockOrganization, segmentsChanged } from "./organization-store.ts";
import { ruleOfRequest } from "./rule-proto.ts";
import { INSTANTS_MAX, SEGMENTS_MAX, type Segment, slugOf } from "./segment.ts";
import { segmentToProto } from "./segment-proto.ts";
import { insertSegment, listSegmentsOf } from "./segment-store.ts";

export function createSegment(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.createSegment> {
  return async (request, context) => {
    const { organizationId } = context;
    const nowMs = deps.clock.nowMs();
    const segment: Segment = {
      organizationId,
      id: deps.ids.next<SegmentId>(nowMs),
      slug: slugOf(request.name),
      name: request.name,
      rule: ruleOfRequest(request),
      version: 1,
      announceBackfill: request.announceBackfill ?? false,
      createMs: nowMs,
      updateMs: nowMs,
    };
    await ensureTouched(deps.database, organizationId, nowMs);
    const response = create(CreateSegmentResponseSchema, {
      segment: segmentToProto(segment, 0, SHARD_COUNT),
    });
    await deps.database.transaction(async (trx) => {
      await insertWithinLimit(trx, organizationId, segment);
      await context.settle(trx, response);
    });
    deps.bus.broadcast(WORK_TOPIC, new Uint8Array());
    return response;
  };
}

/** The definition, the work it brings and the new version commit together: see DefinitionsCache. */
async function insertWithinLimit(
  trx: Transaction,
  organizationId: OrganizationId,
  segment: Segment,
): Promise<void> {
  const known = await lockOrganization(trx, organizationId);
  if (known.segmentCount >= SEGMENTS_MAX) {
    throw new AppError("SEGMENT_LIMIT_REACHED", { details: { limit: String(SEGMENTS_MAX) } });
  }
  const segments = [...(await listSegmentsOf(trx, [organizationId])), segment];
  if (new Definitions(0, segments).instantsMax > INSTANTS_MAX) {
    throw new AppError("SEGMENT_LIMIT_REACHED", {
      message: "The counts with a window that the organisation's segments ask for are too large together.",
      details: { limit: String(INSTANTS_MAX) },
    });
  }
  await insertSegment(trx, segment);
  await addBackfills(trx, organizationId, segment.id, ALL_SHARDS);
  await segmentsChanged(trx, organizationId, known, 1);
}
