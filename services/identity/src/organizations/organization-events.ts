// Builds the domain events about organizations.
import { OrganizationUpdatedSchema } from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { uuidToBytes } from "@muster/core";
import { type DomainEvent, domainEvent } from "@muster/outbox";
import type { Organization } from "./organization.ts";

export function organizationUpdated({ id, name, timeZone }: Organization, nowMs: number): DomainEvent {
  return domainEvent(
    OrganizationUpdatedSchema,
    { organizationId: id, resourceId: id },
    { organizationId: uuidToBytes(id), name, timeZone, timeMs: BigInt(nowMs) },
  );
}
