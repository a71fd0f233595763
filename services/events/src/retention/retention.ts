// Defines the retention of an organization and the horizon of expired events. Pure.
import type { OrganizationId } from "@muster/core";

const DAY_MS = 86_400_000;
/** Summaries look back 7 days, so a smaller value would remove page views that summaries need. */
export const AGGREGATE_DAYS_MIN = 8;
/** The number of days that means unlimited retention. */
export const UNLIMITED = 0;

/** The retention of an organization in days; 0 means unlimited. */
export interface Retention {
  readonly organizationId: OrganizationId;
  readonly rawEventDays: number;
  readonly aggregateDays: number;
  /**
   * Raw events that were received and happened before this instant can be missing; 0: no event is missing.
   */
  readonly completeSinceMs: number;
  /** Undefined if the retention never changed. */
  readonly updateMs: number | undefined;
}

export type RetentionDays = Pick<Retention, "rawEventDays" | "aggregateDays">;

/** Returns the retention of an organization that never set a limit. */
export function unlimitedRetention(organizationId: OrganizationId): Retention {
  return {
    organizationId,
    rawEventDays: UNLIMITED,
    aggregateDays: UNLIMITED,
    completeSinceMs: 0,
    updateMs: undefined,
  };
}

/** Events that were received and happened before the horizon have expired. Undefined: no event expires. */
export function horizonMs(days: number, nowMs: number): number | undefined {
  return days === UNLIMITED ? undefined : nowMs - days * DAY_MS;
}

/** Returns whether `next` expires data that `current` keeps. */
export function isShorter(next: number, current: number): boolean {
  return next !== UNLIMITED && (current === UNLIMITED || next < current);
}
