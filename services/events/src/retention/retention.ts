// How long an organisation's events are kept, and from which instant on. Pure.
import type { OrganizationId } from "@muster/core";

const DAY_MS = 86_400_000;
/** Summaries look back 7 days: less would take from them. */
export const AGGREGATE_DAYS_MIN = 8;
/** Says that what is kept is kept for ever. */
export const FOR_EVER = 0;

export interface Retention {
  readonly organizationId: OrganizationId;
  readonly rawEventDays: number;
  readonly aggregateDays: number;
  /** Raw events that were received and happened before may be gone; 0: none is. */
  readonly completeSinceMs: number;
  /** Undefined where nobody ever changed it. */
  readonly updateMs: number | undefined;
}

export type RetentionDays = Pick<Retention, "rawEventDays" | "aggregateDays">;

/** What is true of an organisation that never said. */
export function keptForEver(organizationId: OrganizationId): Retention {
  return {
    organizationId,
    rawEventDays: FOR_EVER,
    aggregateDays: FOR_EVER,
    completeSinceMs: 0,
    updateMs: undefined,
  };
}

/** What came before and happened before is too old; undefined where nothing ever is. */
export function horizonMs(days: number, nowMs: number): number | undefined {
  return days === FOR_EVER ? undefined : nowMs - days * DAY_MS;
}

/** Whether `next` lets go of something that `current` keeps. */
export function isShorter(next: number, current: number): boolean {
  return next !== FOR_EVER && (current === FOR_EVER || next < current);
}
