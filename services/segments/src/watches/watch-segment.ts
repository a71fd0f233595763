// WatchSegment: streams the members of a segment, then entries and exits as committed. Every response carries
// a token to resume after it.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import {
  type WatchedChangeSchema,
  type WatchSegmentRequest,
  type WatchSegmentResponse,
  WatchSegmentResponseSchema,
} from "@muster/contracts/muster/segments/v1/segment_watch_pb";
import { bytesToUuid } from "@muster/core";
import { AppError } from "@muster/errors";
import type { CallContext, MethodHandler } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { listBackfillsOfEvaluations } from "../rebuild/backfill-store.ts";
import type { Segment } from "../segment-model/segment.ts";
import { findSegment } from "../segments/find-segment.ts";
import { waitForSegments } from "../segments/wait-for-segments.ts";
import { type WatchedChange, WatchedSegment, type WatchPart } from "./watched-segment.ts";

const RETRY_MS = 1000;

export function watchSegment(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.watchSegment> {
  return (request, context) => watch(deps, request, context);
}

async function* watch(
  deps: SegmentsDeps,
  request: WatchSegmentRequest,
  context: CallContext,
): AsyncGenerator<WatchSegmentResponse> {
  const { organizationId, signal } = context;
  const segment = await findSegment(deps, organizationId, request.segmentId);
  const scope = `watch/${organizationId}/${segment.id}`;
  const detach = deps.watches.attach(organizationId);
  try {
    const watched = await open(deps, context, scope, segment, request.resumeToken);
    for await (const part of watched.parts(signal)) {
      const resumeToken = deps.pageTokens.seal(scope, watched.state);
      yield create(WatchSegmentResponseSchema, { kind: partToProto(part), resumeToken });
    }
  } finally {
    detach();
  }
}

async function open(
  deps: SegmentsDeps,
  context: CallContext,
  scope: string,
  segment: Segment,
  resumeToken: string,
): Promise<WatchedSegment> {
  const { organizationId } = context;
  const key = { organizationId, segmentId: segment.id };
  if (resumeToken !== "") {
    const state = deps.pageTokens.open(scope, resumeToken) ?? [];
    return WatchedSegment.resume(deps, key, state);
  }
  await waitForSegments(deps, context, organizationId, [segment]);
  // An eventual read must not start during a backfill either, because entries of the backfill are not
  // announced.
  const backfills = await listBackfillsOfEvaluations(deps.database.reader, organizationId, [
    segment.evaluationId,
  ]);
  if (backfills.length > 0) throw new AppError("NOT_YET_CONSISTENT", { retryAfterMs: RETRY_MS });
  return WatchedSegment.begin(deps, key);
}

function partToProto(part: WatchPart) {
  if (part.kind === "changes") {
    return { case: "changes" as const, value: { changes: part.changes.map(changeToProto) } };
  }
  const members = part.members.map(({ profileId, enteredMs }) => ({
    profileId,
    enteredAt: timestampFromMs(enteredMs),
  }));
  return { case: "members" as const, value: { restart: part.restart, members, complete: part.complete } };
}

function changeToProto({
  profileId,
  member,
  change,
}: WatchedChange): MessageInitShape<typeof WatchedChangeSchema> {
  const { changedMs, evaluatedMs, origin, causeEventId, ruleVersion } = change;
  return {
    profileId,
    member,
    origin,
    ruleVersion,
    changeTime: timestampFromMs(Number(changedMs)),
    evaluateTime: timestampFromMs(Number(evaluatedMs)),
    ...(causeEventId.byteLength > 0 && { causeEventId: bytesToUuid(causeEventId) }),
  };
}
