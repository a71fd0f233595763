// Applies identity's own LoginRecorded events to the login tables, each login once.
import { fromBinary } from "@bufbuild/protobuf";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { LoginRecordedSchema } from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { bytesToUuid, type Clock } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { domainEventType, type OwnedShards, PoisonMessage, type Projection } from "@muster/outbox";
import { advanceWindows } from "./advance-windows.ts";
import { countLogins } from "./count-logins.ts";
import type { LoginEvent } from "./login-event-store.ts";
import { dayOf, startOf } from "./login-window.ts";

export interface LoginProjectionDeps {
  readonly clock: Clock;
  readonly database: Database;
}

const TYPE = domainEventType(LoginRecordedSchema);

/** All methods run in the process that owns the shards, never two at a time. */
export class LoginProjection implements Projection {
  readonly #deps: LoginProjectionDeps;

  constructor(deps: LoginProjectionDeps) {
    this.#deps = deps;
  }

  async apply(trx: Transaction, messages: readonly Envelope[]): Promise<void> {
    const today = dayOf(this.#deps.clock.nowMs());
    const logins = messages.filter(({ type }) => type === TYPE).map((message) => loginOf(message, today));
    if (logins.length > 0) await countLogins(trx, logins, today);
  }

  /** The login is not counted until the dead letter is replayed. */
  async onDeadLetter(): Promise<void> {}

  /** Takes logins out of the windows that they have left, and deletes old ones. */
  async work(owned: OwnedShards, signal: AbortSignal): Promise<number> {
    const today = dayOf(this.#deps.clock.nowMs());
    const isDone = await advanceWindows(this.#deps.database, owned, today, signal);
    return isDone ? startOf(today + 1) : 0;
  }
}

function loginOf(envelope: Envelope, today: number): LoginEvent {
  const { organizationId, userId, loginId, timeMs } = decode(envelope);
  return {
    organizationId,
    userId,
    loginId,
    // The clock of another process may be ahead.
    day: Math.min(dayOf(timeMs), today),
    shard: envelope.shard,
    position: Number(envelope.position),
    timeMs,
  };
}

function decode(envelope: Envelope): Pick<LoginEvent, "organizationId" | "userId" | "loginId" | "timeMs"> {
  try {
    const { organizationId, userId, loginId, timeMs } = fromBinary(LoginRecordedSchema, envelope.data);
    return {
      organizationId: bytesToUuid(organizationId),
      userId: bytesToUuid(userId),
      loginId: bytesToUuid(loginId),
      timeMs: Number(timeMs),
    };
  } catch (error) {
    throw new PoisonMessage(envelope, error);
  }
}
