// Encodes fired alerts as domain events.
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AlertFired,
  AlertFiredSchema,
  AlertsFiredSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { chunksOf, type ProfileId, shardOf, uuidToBytes } from "@muster/core";
import type { OutboxDraft } from "@muster/outbox";
import { ALERT_FIRED } from "../domain-events/domain-events.ts";
import type { Alert } from "./alert.ts";

/** Alerts in one message: about 400 bytes each, far below the size limit of a message. */
const ALERTS_MAX = 500;

/** An alert with the current root profile, in whose shard the alert is published. */
export interface FiredAlert {
  readonly alert: Alert;
  /** The root profile of the person. */
  readonly rootId: ProfileId;
}

/** Returns one message for each shard, or several for many alerts, in the order of firing. */
export function alertsFired(
  fired: readonly FiredAlert[],
  traceParents: ReadonlyMap<number, string>,
): OutboxDraft[] {
  const byShard = Map.groupBy(fired, ({ alert, rootId }) => shardOf(alert.organizationId, rootId));
  const drafts: OutboxDraft[] = [];
  for (const [shard, alerts] of [...byShard].sort(([a], [b]) => a - b)) {
    const traceParent = traceParents.get(shard) ?? "";
    for (const some of chunksOf(alerts, ALERTS_MAX)) {
      const encoded = some.map(encodeAlert);
      const data = toBinary(AlertsFiredSchema, create(AlertsFiredSchema, { alerts: encoded }));
      drafts.push({ shard, type: ALERT_FIRED, data, items: 0, traceParent });
    }
  }
  return drafts;
}

function encodeAlert({ alert, rootId }: FiredAlert): AlertFired {
  return create(AlertFiredSchema, {
    organizationId: uuidToBytes(alert.organizationId),
    alertId: uuidToBytes(alert.id),
    profileId: uuidToBytes(rootId),
    ruleId: uuidToBytes(alert.ruleId),
    code: alert.code,
    eventId: uuidToBytes(alert.eventId),
    eventName: alert.eventName,
    occurredMs: BigInt(alert.occurredMs),
    firedMs: BigInt(alert.firedMs),
    ...(alert.profileId !== rootId && { recordedProfileId: uuidToBytes(alert.profileId) }),
  });
}
