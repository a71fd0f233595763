// Converts fired alerts to messages.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { AlertSchema } from "@muster/contracts/muster/events/v1/alert_pb";
import type { ProfileId } from "@muster/core";
import type { Alert } from "./alert.ts";

/** The current root profile of an alert, and the user id of that profile. */
export interface AlertProfile {
  readonly profileId: ProfileId;
  readonly userId: string | undefined;
}

export function alertToProto(alert: Alert, current: AlertProfile): MessageInitShape<typeof AlertSchema> {
  return {
    id: alert.id,
    ruleId: alert.ruleId,
    code: alert.code,
    profileId: current.profileId,
    ...(current.userId !== undefined && { userId: current.userId }),
    eventId: alert.eventId,
    eventName: alert.eventName,
    timestamp: timestampFromMs(alert.occurredMs),
    fireTime: timestampFromMs(alert.firedMs),
  };
}
