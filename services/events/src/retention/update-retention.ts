// UpdateRetention changes the retention together with the segments service, whose rules read past events.
//
// Segments always holds the stricter limit. Segments applies a reduction first and an extension last, so that
// a crash in between only rejects a rule that would be allowed. A rule never lacks events. Repeating the call
// completes the change.
import type {
  RetentionService,
  UpdateRetentionRequest,
} from "@muster/contracts/muster/events/v1/retention_service_pb";
import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { AppError, invalidField } from "@muster/errors";
import { changedPaths, createClient, onBehalfOf, type UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { AGGREGATE_DAYS_MIN, isShorter, type Retention, type RetentionDays, UNLIMITED } from "./retention.ts";
import { retentionToProto } from "./retention-proto.ts";
import { lockRetention, markChanging, readRetention, saveRetentionDays } from "./retention-store.ts";
import type { RetentionWorker } from "./retention-worker.ts";

/** Mask paths and the fields of the message. */
const FIELDS = { raw_event_days: "rawEventDays", aggregate_days: "aggregateDays" } as const;

/** The deadline of a reservation, so that a crashed change blocks the next change only for a bounded time. */
const RESERVE_MS_MAX = 10_000;
const CHANGE_MS_MAX = 3 * RESERVE_MS_MAX;

/** The shared dependencies and the worker that deletes expired rows. */
export interface RetentionDeps extends EventsDeps {
  readonly retention: Pick<RetentionWorker, "wake">;
}

export function updateRetention(
  deps: RetentionDeps,
): UnaryHandler<typeof RetentionService.method.updateRetention> {
  const client = createClient(SegmentPrivacyService, deps.segments);
  return async (request, context) => {
    const { organizationId } = context;
    const changes = changesOf(request);
    const reserve = (rawEventDays: number) =>
      client.reserveRetention(
        { organizationId: uuidToBytes(organizationId), rawEventDays },
        { ...onBehalfOf(context), deadlineMs: deps.clock.nowMs() + RESERVE_MS_MAX },
      );
    const { before, after, untilMs } = await begin(deps, organizationId, changes);
    try {
      // Equal values can be a repeated call after a crash, so segments receives the limit again.
      const isLonger = isShorter(before.rawEventDays, after.rawEventDays);
      const isRequested = changes.rawEventDays !== undefined;
      if (isRequested && !isLonger) await reserve(after.rawEventDays);
      await store(deps, organizationId, after, untilMs);
      if (isRequested && isLonger) await reserve(after.rawEventDays);
    } finally {
      await end(deps, organizationId, untilMs);
    }
    deps.retention.wake();
    return { retention: retentionToProto(await readRetention(deps.database.reader, organizationId)) };
  };
}

function changesOf({ retention, updateMask }: UpdateRetentionRequest): Partial<RetentionDays> {
  const changes: { -readonly [K in keyof RetentionDays]?: number } = {};
  for (const path of changedPaths(updateMask, retention, FIELDS)) {
    changes[FIELDS[path]] = retention?.[FIELDS[path]] ?? UNLIMITED;
  }
  const { aggregateDays = UNLIMITED } = changes;
  if (aggregateDays !== UNLIMITED && aggregateDays < AGGREGATE_DAYS_MIN) {
    const least = `must be at least ${AGGREGATE_DAYS_MIN}, because summaries look back 7 days; 0 or null means indefinitely`;
    throw invalidField("retention.aggregate_days", least);
  }
  return changes;
}

/** Serializes changes, so that both services end with the same limit. */
async function begin(
  deps: EventsDeps,
  organizationId: OrganizationId,
  changes: Partial<RetentionDays>,
): Promise<{ readonly before: Retention; readonly after: RetentionDays; readonly untilMs: number }> {
  return deps.database.transaction(async (trx) => {
    const nowMs = deps.clock.nowMs();
    const before = await lockRetention(trx, organizationId);
    if (before.changingUntilMs > nowMs) {
      throw new AppError("UNAVAILABLE", {
        message: "Another change of the retention is in progress; try again.",
        retryAfterMs: 1_000,
      });
    }
    const untilMs = nowMs + CHANGE_MS_MAX;
    await markChanging(trx, organizationId, untilMs);
    const { rawEventDays, aggregateDays } = { ...before, ...changes };
    return { before, after: { rawEventDays, aggregateDays }, untilMs };
  });
}

async function store(
  deps: EventsDeps,
  organizationId: OrganizationId,
  days: RetentionDays,
  untilMs: number,
): Promise<void> {
  await deps.database.transaction(async (trx) => {
    const locked = await lockRetention(trx, organizationId);
    // Another change may have taken effect after the lock expired.
    if (locked.changingUntilMs !== untilMs) throw new AppError("UNAVAILABLE", { retryAfterMs: 1_000 });
    await saveRetentionDays(trx, organizationId, days, deps.clock.nowMs());
  });
}

async function end(deps: EventsDeps, organizationId: OrganizationId, untilMs: number): Promise<void> {
  await deps.database.transaction(async (trx) => {
    const { changingUntilMs } = await lockRetention(trx, organizationId);
    if (changingUntilMs === untilMs) await markChanging(trx, organizationId, 0);
  });
}
