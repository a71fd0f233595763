// Fixes the state that all pages of a walk over login counts show.
import { ALL_SHARDS, type Clock, type OrganizationId, SHARD_COUNT } from "@muster/core";
import type { Transaction } from "@muster/db";
import { readCursors } from "@muster/outbox";
import type { PagePosition } from "@muster/rpc";
import { LOGIN_CONSUMER } from "../login-counts/login-consumer.ts";
import { type Day, dayOf, startOf } from "../login-counts/login-window.ts";
import { readShardWindows } from "../login-counts/login-window-store.ts";

export interface AsOf {
  readonly timeMs: number;
  /** The last date of the window. */
  readonly day: Day;
  /** The logins up to these positions count; by shard. */
  readonly positions: readonly number[];
}

/** An organization, and a window of a state. */
export interface RankingScope {
  readonly organizationId: OrganizationId;
  readonly windowDays: number;
  readonly asOf: AsOf;
}

/** The state of the snapshot. Its date is the latest of all processes, because their clocks differ. */
export async function readAsOf(trx: Transaction, clock: Clock): Promise<AsOf> {
  const nowMs = clock.nowMs();
  const windows = await readShardWindows(trx, ALL_SHARDS);
  const day = Math.max(dayOf(nowMs), ...windows.map((window) => window.day));
  const cursors = await readCursors(trx, LOGIN_CONSUMER);
  const positions = ALL_SHARDS.map((shard) => cursors.find((one) => one.shard === shard)?.position ?? 0);
  return { timeMs: Math.max(nowMs, startOf(day)), day, positions };
}

export function asOfToNumbers({ timeMs, day, positions }: AsOf): number[] {
  return [timeMs, day, ...positions];
}

/** The state at the beginning of a page position, and the rest of the position. */
export function splitAsOf(position: PagePosition): { readonly asOf: AsOf; readonly rest: PagePosition } {
  const [timeMs = 0, day = 0, ...others] = position;
  const positions = others.slice(0, SHARD_COUNT).map(Number);
  return { asOf: { timeMs: Number(timeMs), day: Number(day), positions }, rest: others.slice(SHARD_COUNT) };
}
