// Encodes the page views of an hour. Each entry holds the instant and the page, so that a new view is
// appended without reading the previous bytes. Pure.
import { assert } from "@muster/core";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";

/** The event name of a page view. */
export const PAGE_VIEWED = "page.viewed";

const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;
const INSTANT_BYTES = 3;

/** An hour of UTC. */
export interface ViewHour {
  /** Days since 1970; negative before 1970. */
  readonly day: number;
  /** Hour of the day, 0 to 23. */
  readonly hour: number;
}

/** Returns the UTC hour of an instant in epoch milliseconds. */
export function viewHourOf(ms: number): ViewHour {
  const hours = Math.floor(ms / HOUR_MS);
  const day = Math.floor(hours / DAY_HOURS);
  return { day, hour: hours - day * DAY_HOURS };
}

/** Empty when the view has no page name. */
export function pageOf(view: TrackedEvent): string {
  const { name } = JSON.parse(view.properties) as { readonly name?: unknown };
  return typeof name === "string" ? name : "";
}

/** Encodes three bytes for the instant in the hour, the length of the page name, and the name. */
export function encodeView(occurredMs: number, page: string): Buffer {
  const name = Buffer.from(page);
  const prefix = lengthBytes(name.length);
  const entry = Buffer.allocUnsafe(INSTANT_BYTES + prefix.length + name.length);
  entry.writeUIntLE(occurredMs - Math.floor(occurredMs / HOUR_MS) * HOUR_MS, 0, INSTANT_BYTES);
  entry.set(prefix, INSTANT_BYTES);
  entry.set(name, INSTANT_BYTES + prefix.length);
  return entry;
}

/** Calls `visit` for every view of an hour, in the order of arrival. */
export function decodeViews(
  { day, hour }: ViewHour,
  views: Buffer,
  visit: (occurredMs: number, page: string) => void,
): void {
  const startMs = (day * DAY_HOURS + hour) * HOUR_MS;
  for (let at = 0; at < views.length; ) {
    const occurredMs = startMs + views.readUIntLE(at, INSTANT_BYTES);
    at += INSTANT_BYTES;
    let length = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = views.readUInt8(at);
      at += 1;
      length += (byte & 127) * unit;
      if (byte < 128) break;
    }
    assert(at + length <= views.length, "the encoded views of an hour end within a page name");
    visit(occurredMs, views.toString("utf8", at, at + length));
    at += length;
  }
}

/** Seven bits per byte, low bits first. */
function lengthBytes(length: number): number[] {
  const bytes: number[] = [];
  let rest = length;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return bytes;
}
