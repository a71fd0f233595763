// A tenant. Pure.
import type { OrganizationId } from "@muster/core";

export interface Organization {
  readonly id: OrganizationId;
  readonly name: string;
  readonly createTimeMs: number;
}
