// Waits briefly after an edit until the new rule serves reads, so that a small edit is visible to the next read.
import type { EvaluationId } from "@muster/core";
import type { CallContext } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import type { Segment } from "../segment-model/segment.ts";
import { findSegmentById } from "../segment-model/segment-store.ts";
import { WORK_DONE_TOPIC } from "../topics.ts";

/** Longest wait; a larger backfill continues in the background. */
const WAIT_MS_MAX = 2000;
/** Polling interval, because another replica may do the work and a broadcast may be lost. */
const POLL_MS = 200;
/** The wait ends this long before the deadline of the call, so that the response still arrives. */
const DEADLINE_MARGIN_MS = 50;

/**
 * Returns whether the evaluation, pending so far, serves reads. Holds neither a transaction nor a connection while
 * waiting. Eventual calls do not wait, and canceled calls stop waiting.
 */
export async function waitForRuleSwitch(
  { bus, clock, database }: SegmentsDeps,
  context: CallContext,
  segment: Segment,
  evaluationId: EvaluationId,
): Promise<boolean> {
  if (context.eventual) return false;
  const deadlineMs = (context.deadlineMs ?? Number.POSITIVE_INFINITY) - DEADLINE_MARGIN_MS;
  const limitMs = clock.monotonicMs() + Math.min(WAIT_MS_MAX, deadlineMs - clock.nowMs());
  for (;;) {
    const workDone = new AbortController();
    // Subscribes before reading, so that no broadcast in between is lost.
    const stopListening = bus.onBroadcast(WORK_DONE_TOPIC, () => workDone.abort());
    try {
      const now = await findSegmentById(database.reader, segment.organizationId, segment.id);
      if (now?.evaluationId === evaluationId) return now.pending === undefined;
      // The segment was deleted, or a later edit replaced this edit.
      if (now?.pending?.evaluationId !== evaluationId) return false;
      const leftMs = limitMs - clock.monotonicMs();
      if (leftMs <= 0 || context.signal.aborted) return false;
      await clock.sleep(Math.min(POLL_MS, leftMs), AbortSignal.any([workDone.signal, context.signal]));
    } finally {
      stopListening();
    }
  }
}
