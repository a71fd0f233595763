// Corrects the times of one request by the clock error of the client. All calls of a request are corrected by
// the same offset or not at all, so the correction keeps their order.
import type { TrackingCall } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { parseClientInstant } from "./instant-text.ts";

/** 2000-01-01T00:00:00Z. A client that claims to send earlier has no clock. */
const FIRST_BELIEVED_MS = 946_684_800_000;
const DAY_MS = 86_400_000;

/** A received request. */
export interface ReceivedRequest {
  readonly calls: readonly TrackingCall[];
  /** The time of sending of the whole request; empty if only calls have one. */
  readonly sentAt: string;
  readonly nowMs: number;
  /** Smaller differences are the time that the request was on its way. */
  readonly offsetMinMs: number;
}

/** The times of one request. */
export interface ClientClock {
  /** Added to the time of every dated call. */
  readonly offsetMs: number;
  /** The time of calls without a time. */
  readonly undatedMs: number;
}

/** Returns the clock of a request whose times are taken as sent. */
export function trustedClock(nowMs: number): ClientClock {
  return { offsetMs: 0, undatedMs: nowMs };
}

/**
 * Compares the time of sending with the time of receipt. The difference is a clock error if it reaches
 * `offsetMinMs` and the dated calls agree: no call may have happened long after the request was sent.
 */
export function clientClock({ calls, sentAt, nowMs, offsetMinMs }: ReceivedRequest): ClientClock {
  const sentMs = sentMsOf(calls, sentAt, nowMs);
  const latestMs = latestCallMs(calls);
  if (sentMs === undefined || latestMs === undefined) return trustedClock(nowMs);
  const offsetMs = nowMs - sentMs;
  // A fast clock below the limit dates calls up to `sentMs`; undated calls of the request stay behind these.
  if (Math.abs(offsetMs) <= offsetMinMs) return { offsetMs: 0, undatedMs: Math.max(nowMs, sentMs) };
  const isOfSameClock = latestMs - sentMs <= offsetMinMs;
  return { offsetMs: isOfSameClock ? offsetMs : 0, undatedMs: nowMs };
}

/** Returns the believable time of sending: of the request, or else the latest of its calls. */
function sentMsOf(calls: readonly TrackingCall[], sentAt: string, nowMs: number): number | undefined {
  const texts = sentAt === "" ? calls.map((call) => call.sentAt) : [sentAt];
  return latestOf(texts, (ms) => ms >= FIRST_BELIEVED_MS && ms <= nowMs + DAY_MS);
}

function latestCallMs(calls: readonly TrackingCall[]): number | undefined {
  const texts = calls.map(({ timestamp, originalTimestamp }) => timestamp || originalTimestamp);
  return latestOf(texts, () => true);
}

function latestOf(texts: readonly string[], isBelieved: (ms: number) => boolean): number | undefined {
  let latestMs: number | undefined;
  for (const text of texts) {
    const ms = text === "" ? undefined : parseClientInstant(text);
    if (ms === undefined || !isBelieved(ms)) continue;
    if (latestMs === undefined || ms > latestMs) latestMs = ms;
  }
  return latestMs;
}
