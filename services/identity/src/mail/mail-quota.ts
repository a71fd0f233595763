// Limits the mails of a kind to an address: 5 in an hour and 20 in a day. Pure.

const HOUR_MS = 60 * 60_000;
const HOUR_MAILS_MAX = 5;
const DAY_MAILS_MAX = 20;
/** A quota without mails for so long is empty. */
export const QUOTA_MS = 24 * HOUR_MS;
const TIME_BYTES = 8;

/** The times of the last mails, this one included; undefined if the limit is reached. */
export function admitMail(timesMs: readonly number[], nowMs: number): readonly number[] | undefined {
  // Times in the future, from a process whose clock is ahead, count too.
  const ofDay = timesMs.filter((timeMs) => timeMs > nowMs - QUOTA_MS);
  const ofHour = ofDay.filter((timeMs) => timeMs > nowMs - HOUR_MS);
  if (ofDay.length >= DAY_MAILS_MAX || ofHour.length >= HOUR_MAILS_MAX) return undefined;
  return [...ofDay, nowMs];
}

export function timesToBytes(timesMs: readonly number[]): Buffer {
  const bytes = Buffer.alloc(timesMs.length * TIME_BYTES);
  for (const [index, timeMs] of timesMs.entries()) bytes.writeDoubleBE(timeMs, index * TIME_BYTES);
  return bytes;
}

export function timesFromBytes(bytes: Buffer): number[] {
  return Array.from({ length: Math.floor(bytes.length / TIME_BYTES) }, (_, index) =>
    bytes.readDoubleBE(index * TIME_BYTES),
  );
}

/** Column size. */
export const QUOTA_BYTES_MAX = DAY_MAILS_MAX * TIME_BYTES;
