// Converts the retention of an organization to a message.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { RetentionSchema } from "@muster/contracts/muster/events/v1/retention_service_pb";
import { type Retention, UNLIMITED } from "./retention.ts";

export function retentionToProto(retention: Retention): MessageInitShape<typeof RetentionSchema> {
  const { rawEventDays, aggregateDays, completeSinceMs, updateMs } = retention;
  return {
    ...(rawEventDays !== UNLIMITED && { rawEventDays }),
    ...(aggregateDays !== UNLIMITED && { aggregateDays }),
    ...(completeSinceMs > 0 && { completeSince: timestampFromMs(completeSinceMs) }),
    ...(updateMs !== undefined && { updateTime: timestampFromMs(updateMs) }),
  };
}
