// Declares what the reads of login analytics need, and holds a read until it includes every acknowledged login.
import { CONSISTENCY_WAIT_MS_MAX } from "@muster/core";
import { AppError } from "@muster/errors";
import type { ShardConsumer } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";

export interface LoginAnalyticsDeps extends IdentityDeps {
  /** Applies the logins. */
  readonly consumer: Pick<ShardConsumer, "waitForApplied">;
}

/** The retry hint of NOT_YET_CONSISTENT. */
const RETRY_AFTER_MS = 1_000;
/** The wait ends this long before the caller's deadline, so that the error still arrives. */
const DEADLINE_MARGIN_MS = 50;

/**
 * Rejects with NOT_YET_CONSISTENT after 10 s or shortly before the deadline, so that no stale read passes. Eventual
 * reads do not wait.
 */
export async function waitForLogins(
  { clock, consumer, outbox }: LoginAnalyticsDeps,
  { eventual, deadlineMs, signal }: Pick<CallContext, "eventual" | "deadlineMs" | "signal">,
): Promise<void> {
  if (eventual) return;
  const leftMs = (deadlineMs ?? Number.POSITIVE_INFINITY) - DEADLINE_MARGIN_MS - clock.nowMs();
  const timeoutMs = Math.min(CONSISTENCY_WAIT_MS_MAX, leftMs);
  if (await consumer.waitForApplied(await outbox.positions(), { timeoutMs, signal })) return;
  throw new AppError("NOT_YET_CONSISTENT", { retryAfterMs: RETRY_AFTER_MS });
}
