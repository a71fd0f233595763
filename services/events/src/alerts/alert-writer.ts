// Stores fired alerts and encodes them as domain events, in portions, so that a commit with many alerts holds
// neither the process nor much memory.
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AlertFired,
  AlertFiredSchema,
  AlertsFiredSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { shardOf, uuidToBytes, type WorkBudget } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { OutboxDraft } from "@muster/outbox";
import { ALERT_FIRED, type ShardChanges } from "../domain-events/domain-events.ts";
import { UuidBytesCache } from "../event-storage/uuid-bytes-cache.ts";
import type { FiredAlert } from "./alert.ts";
import { insertAlerts } from "./alert-store.ts";

/** Alerts in one message: about 400 bytes each, far below the size limit of a message. */
const MESSAGE_ALERTS_MAX = 500;
/** Alerts that are stored at once. */
const PORTION_ALERTS = 500;
/** Estimated processor time to encode and store one alert, in units of a budget. */
const ALERT_UNITS = 20;

/** Writes the alerts of one transaction. Alerts are added in key order. */
export class AlertWriter {
  readonly #trx: Transaction;
  readonly #budget: WorkBudget;
  readonly #traceParents: ReadonlyMap<number, string>;
  readonly #bytes = new UuidBytesCache();
  #waiting: FiredAlert[] = [];
  /** Encoded alerts that fill no message yet, by shard. */
  readonly #unsent = new Map<number, AlertFired[]>();
  readonly #drafts: OutboxDraft[] = [];

  constructor(trx: Transaction, shardChanges: readonly ShardChanges[], budget: WorkBudget) {
    this.#trx = trx;
    this.#budget = budget;
    this.#traceParents = new Map(shardChanges.map(({ shard, traceParent }) => [shard, traceParent]));
  }

  add(alert: FiredAlert): void {
    this.#waiting.push(alert);
  }

  get isFull(): boolean {
    return this.#waiting.length >= PORTION_ALERTS;
  }

  /** Stores and encodes the alerts added so far. */
  async flush(): Promise<void> {
    const alerts = this.#waiting;
    this.#waiting = [];
    await insertAlerts(this.#trx, alerts, this.#bytes);
    for (const alert of alerts) this.#encode(alert);
    this.#budget.spend(alerts.length * ALERT_UNITS);
    if (this.#budget.isSliceOver) await this.#budget.turn();
  }

  /** Returns the messages to publish, by shard, in the order of firing. */
  async finish(): Promise<OutboxDraft[]> {
    if (this.#waiting.length > 0) await this.flush();
    for (const [shard, alerts] of this.#unsent) if (alerts.length > 0) this.#send(shard, alerts);
    return this.#drafts.sort((a, b) => a.shard - b.shard);
  }

  #encode(alert: FiredAlert): void {
    const { event, rootId } = alert;
    const shard = shardOf(event.organizationId, rootId);
    const alerts = this.#unsent.get(shard) ?? [];
    alerts.push(this.#messageOf(alert));
    this.#unsent.set(shard, alerts);
    if (alerts.length < MESSAGE_ALERTS_MAX) return;
    this.#send(shard, alerts);
    this.#unsent.delete(shard);
  }

  #send(shard: number, alerts: AlertFired[]): void {
    const data = toBinary(AlertsFiredSchema, create(AlertsFiredSchema, { alerts }));
    const traceParent = this.#traceParents.get(shard) ?? "";
    this.#drafts.push({ shard, type: ALERT_FIRED, data, items: 0, traceParent });
  }

  #messageOf({ id, event, rootId, ruleId, code, firedMs }: FiredAlert): AlertFired {
    return create(AlertFiredSchema, {
      organizationId: this.#bytes.uuid(event.organizationId),
      alertId: uuidToBytes(id),
      profileId: this.#bytes.uuid(rootId),
      ruleId: this.#bytes.uuid(ruleId),
      code,
      eventId: this.#bytes.uuid(event.id),
      eventName: event.name,
      occurredMs: BigInt(event.occurredMs),
      firedMs: BigInt(firedMs),
      ...(event.profileId !== rootId && { recordedProfileId: this.#bytes.uuid(event.profileId) }),
    });
  }
}
