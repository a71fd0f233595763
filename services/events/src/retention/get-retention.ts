// GetRetention reads the retention of the organization.
import type { RetentionService } from "@muster/contracts/muster/events/v1/retention_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { retentionToProto } from "./retention-proto.ts";
import { readRetention } from "./retention-store.ts";

export function getRetention(deps: EventsDeps): UnaryHandler<typeof RetentionService.method.getRetention> {
  return async (_request, { organizationId }) => ({
    retention: retentionToProto(await readRetention(deps.database.reader, organizationId)),
  });
}
