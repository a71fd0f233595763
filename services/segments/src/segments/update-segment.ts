// UpdateSegment: renames at once. A changed rule is backfilled first, and then replaces the current rule.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { SegmentSchema } from "@muster/contracts/muster/segments/v1/segment_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { UpdateSegmentResponseSchema } from "@muster/contracts/muster/segments/v1/segment_update_pb";
import { ALL_SHARDS, type EvaluationId, isUuid, type OrganizationId, SHARD_COUNT } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { type CallContext, type MethodHandler, requireVersion } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import {
  incrementDefinitionsVersion,
  lockOrganization,
  readRawEventDays,
} from "../organizations/organization-store.ts";
import { ensureOrganization } from "../organizations/provision-organization.ts";
import { addBackfills } from "../rebuild/backfill-store.ts";
import { changeRule, type RuleChange, rejectExceededLimits } from "../rule-versions/change-rule.ts";
import { savedRule, savedVersion } from "../rule-versions/evaluations.ts";
import { dropEvaluation, switchFinishedRules } from "../rule-versions/rule-switch.ts";
import { resolveSegments } from "../rule-versions/segment-references.ts";
import { encodeRule } from "../rules/rule-proto.ts";
import { rejectLongWindow } from "../rules/rule-retention.ts";
import { type Segment, slugTaken } from "../segment-model/segment.ts";
import { findSegmentById, listSegmentsOf, updateSegmentRow } from "../segment-model/segment-store.ts";
import { WORK_TOPIC } from "../topics.ts";
import { countDifference } from "./count-difference.ts";
import { editFromRequest, NAME_PATH, type SegmentEdit } from "./segment-edit.ts";
import { describeSegments, NO_COUNTS, segmentToProto } from "./segment-proto.ts";
import { waitForRuleSwitch } from "./wait-for-rule-switch.ts";
import { waitForSegments } from "./wait-for-segments.ts";

export function updateSegment(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.updateSegment> {
  return async (request, context) => {
    const { organizationId } = context;
    const timeZone = await deps.timeZones.for(context.organizationId, request.segment?.rule);
    const edit = editFromRequest(request, timeZone);
    await ensureOrganization(deps.database, organizationId, deps.clock.nowMs());
    if (request.validateOnly) return preview(deps, context, request.segmentId, edit);
    const { saved, described, isNewRule } = await deps.database.transaction(async (trx) => {
      const { rawEventDays } = await lockOrganization(trx, organizationId);
      const plan = await planEdit(deps, trx, organizationId, request.segmentId, { ...edit, rawEventDays });
      await apply(deps, trx, plan);
      const saved = (await listSegmentsOf(trx, [organizationId])).find(({ id }) => id === plan.after.id);
      const [described] = await describeSegments(trx, organizationId, saved === undefined ? [] : [saved]);
      return { saved, described, isNewRule: plan.change !== undefined };
    });
    deps.announcer.wake();
    deps.bus.broadcast(WORK_TOPIC, new Uint8Array());
    const pendingId = isNewRule ? saved?.pending?.evaluationId : undefined;
    const isServing =
      saved !== undefined &&
      pendingId !== undefined &&
      (await waitForRuleSwitch(deps, context, saved, pendingId));
    const segment = (isServing && (await describeServing(deps, saved, pendingId))) || described;
    return segment === undefined ? {} : { segment };
  };
}

/** Undefined if the segment was changed again or deleted. */
async function describeServing(
  { database }: SegmentsDeps,
  { organizationId, id }: Segment,
  evaluationId: EvaluationId,
): Promise<MessageInitShape<typeof SegmentSchema> | undefined> {
  return database.snapshot(async (trx) => {
    const now = await findSegmentById(trx, organizationId, id);
    if (now?.evaluationId !== evaluationId || now.pending !== undefined) return undefined;
    const [described] = await describeSegments(trx, organizationId, [now]);
    return described;
  });
}

interface Plan {
  readonly before: Segment;
  /** The segment with the new name and rule; `change` holds the effects on all segments. */
  readonly after: Segment;
  /** Undefined if the rule stays. */
  readonly change: RuleChange | undefined;
}

/** Plans the edit on one read of the organization's segments. A caller that writes has locked them. */
async function planEdit(
  deps: SegmentsDeps,
  db: Queryable,
  organizationId: OrganizationId,
  idOrSlug: string,
  edit: SegmentEdit & { readonly rawEventDays: number },
): Promise<Plan> {
  const segments = await listSegmentsOf(db, [organizationId]);
  const name = isUuid(idOrSlug) ? idOrSlug.toLowerCase() : idOrSlug;
  const before = segments.find(({ id, slug }) => id === name || slug === name);
  if (before === undefined) throw new AppError("SEGMENT_NOT_FOUND");
  const { ifMatch, version } = edit;
  requireVersion({ ifMatch, version, current: savedVersion(before), conflict: "SEGMENT_VERSION_STALE" });
  const nowMs = deps.clock.nowMs();
  const slug = edit.name?.slug ?? before.slug;
  if (segments.some((other) => other.slug === slug && other.id !== before.id))
    throw slugTaken(slug, NAME_PATH);
  const rule = edit.rule && resolveSegments(edit.rule, segments, edit.rulePath);
  const isNewRule = rule !== undefined && encodeRule(rule) !== encodeRule(savedRule(before));
  const isNewName = edit.name !== undefined && edit.name.text !== before.name;
  if (!isNewRule && !isNewName) return { before, after: before, change: undefined };
  const renamed: Segment = {
    ...before,
    ...(edit.name && { name: edit.name.text, slug: edit.name.slug }),
    // The clock may have been set back.
    updateMs: Math.max(nowMs, before.updateMs),
  };
  if (!isNewRule) return { before, after: withNextVersion(renamed), change: undefined };
  rejectLongWindow(rule, edit.rawEventDays, edit.rulePath);
  const change = changeRule(segments, renamed, rule, edit.rulePath, () => deps.ids.next<EvaluationId>(nowMs));
  rejectExceededLimits(change.segments);
  const after = change.pending.find(({ id }) => id === before.id) ?? renamed;
  return { before, after, change };
}

/** A rename is a version too, so that a second rename of the same version is refused. */
function withNextVersion(segment: Segment): Segment {
  const { pending } = segment;
  const version = savedVersion(segment) + 1;
  return pending === undefined ? { ...segment, version } : { ...segment, pending: { ...pending, version } };
}

/** Invariant: rules, backfills and the new definitions version commit together. See DefinitionsCache. */
async function apply(deps: SegmentsDeps, trx: Transaction, { before, after, change }: Plan): Promise<void> {
  const { organizationId } = after;
  if (after === before) return;
  if (change === undefined) {
    await updateSegmentRow(trx, after);
    return;
  }
  for (const segment of change.pending) {
    await updateSegmentRow(trx, segment);
    await addBackfills(trx, organizationId, segment.pending.evaluationId, ALL_SHARDS);
  }
  for (const evaluationId of change.dropped) await dropEvaluation(trx, organizationId, evaluationId);
  await incrementDefinitionsVersion(trx, organizationId);
  // Other pending segments may have waited for the dropped evaluations alone.
  await switchFinishedRules(trx, organizationId, deps.announcer);
}

/** Returns the effects of the edit without writing. */
async function preview(
  deps: SegmentsDeps,
  context: CallContext,
  idOrSlug: string,
  edit: SegmentEdit,
): Promise<MessageInitShape<typeof UpdateSegmentResponseSchema>> {
  const { organizationId } = context;
  const db = deps.database.reader;
  const rawEventDays = await readRawEventDays(db, organizationId);
  const planned = { ...edit, rawEventDays };
  const { before, after, change } = await planEdit(deps, db, organizationId, idOrSlug, planned);
  await waitForSegments(deps, context, organizationId, [before]);
  if (change === undefined) {
    const [segment] = await describeSegments(db, organizationId, [after]);
    return { ...(segment && { segment }), entering: 0n, leaving: 0n };
  }
  const { entering, leaving, members, completeSinceMs } = await countDifference(
    deps,
    context,
    change.segments,
    after,
  );
  const segment = segmentToProto(after, { ...NO_COUNTS, members }, (id) =>
    id === before.evaluationId ? 0 : SHARD_COUNT,
  );
  return {
    segment,
    entering: BigInt(entering),
    leaving: BigInt(leaving),
    ...(completeSinceMs !== undefined && { completeSince: timestampFromMs(completeSinceMs) }),
  };
}
