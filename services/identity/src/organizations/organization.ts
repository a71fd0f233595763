// A tenant. Pure.
import { type OrganizationId, timeZoneNamed } from "@muster/core";
import { invalidField } from "@muster/errors";

export interface Organization {
  readonly id: OrganizationId;
  readonly name: string;
  readonly createTimeMs: number;
  /** IANA name: where its calendar days begin. */
  readonly timeZone: string;
  /** Members without a second factor have no access. */
  readonly requiresTwoFactor: boolean;
  /** Active and suspended members. The store of memberships counts. */
  readonly memberCount: number;
}

/** The defaults of a new organization. */
export const NEW_ORGANIZATION = { requiresTwoFactor: false, memberCount: 0 } as const;

export const TIME_ZONE_DEFAULT = "UTC";

/** FIELD_INVALID when there is no such zone. */
export function requireTimeZone(text: string, path: string): string {
  const timeZone = timeZoneNamed(text);
  if (timeZone === undefined) throw invalidField(path, 'must be an IANA time zone, such as "Europe/Berlin"');
  return timeZone;
}
