// ReserveRetention: limits the days of raw events that rules may need, if no rule looks back further. Calls
// that save a rule hold the same lock, so later rules respect the limit.
import type { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { bytesToUuid, type OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import { spansLongerThan } from "../engine/rule/lookback.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { lockOrganization, saveRawEventDays } from "../organizations/organization-store.ts";
import { ensureOrganization } from "../organizations/provision-organization.ts";
import type { Segment } from "../segment-model/segment.ts";
import { listSegmentsOf } from "../segment-model/segment-store.ts";

/** The number of segments in an error message. */
const NAMED_MAX = 20;

export function reserveRetention(
  deps: SegmentsDeps,
): UnaryHandler<typeof SegmentPrivacyService.method.reserveRetention> {
  return async ({ organizationId: bytes, rawEventDays }) => {
    const organizationId = bytesToUuid<OrganizationId>(bytes);
    await ensureOrganization(deps.database, organizationId, deps.clock.nowMs());
    await deps.database.transaction(async (trx) => {
      await lockOrganization(trx, organizationId);
      const segments = await listSegmentsOf(trx, [organizationId]);
      rejectExceeding(segments.filter((segment) => exceedsRetention(segment, rawEventDays)));
      await saveRawEventDays(trx, organizationId, rawEventDays);
    });
    return {};
  };
}

/** Checks the current and the pending rule. */
function exceedsRetention({ rule, pending }: Segment, days: number): boolean {
  const rules = pending === undefined ? [rule] : [rule, pending.rule];
  return rules.some((one) => spansLongerThan(one, days).length > 0);
}

function rejectExceeding(segments: readonly Segment[]): void {
  if (segments.length === 0) return;
  const slugs = segments.map(({ slug }) => slug).sort();
  const more = slugs.length > NAMED_MAX ? `, and ${slugs.length - NAMED_MAX} more` : "";
  throw new AppError("RETENTION_TOO_SHORT", {
    details: { segments: slugs.slice(0, NAMED_MAX).join(",") + more },
  });
}
