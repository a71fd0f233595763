// Builds the domain events about exports.
import { ExportReadySchema } from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { uuidToBytes } from "@muster/core";
import { type DomainEvent, domainEvent } from "@muster/outbox";
import type { NewExport } from "./export.ts";

export function exportReady({ id, organizationId, userId }: NewExport, nowMs: number): DomainEvent {
  return domainEvent(
    ExportReadySchema,
    { organizationId, resourceId: userId },
    {
      organizationId: uuidToBytes(organizationId),
      operationId: uuidToBytes(id),
      userId: uuidToBytes(userId),
      timeMs: BigInt(nowMs),
    },
  );
}
