// Packs profiles and their events into chunks for a thread, and unpacks the chunks there. Numbers and ids travel
// in typed arrays, because cloning an object for each event would take longer than the simulation.
import type { ScannedEvent } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import type { ProfileId } from "@muster/core";
import type { EngineEvent, EngineProfile } from "../engine/state/apply-events.ts";
import { eventIdText } from "../events/event-id.ts";

export interface IdentifiedProfile extends EngineProfile {
  readonly id: ProfileId;
}

export interface ProfileChunk {
  readonly rows: readonly ChunkRow[];
  /** Distinct event names. */
  readonly names: readonly string[];
  /** The name of each event, as an index. */
  readonly nameIndexes: Uint32Array<ArrayBuffer>;
  readonly occurredMs: Float64Array<ArrayBuffer>;
  /** 16 bytes for each event. */
  readonly eventIds: Uint8Array<ArrayBuffer>;
  readonly properties: readonly string[];
}

/** The next events of a profile, in the order in which they happened. */
interface ChunkRow {
  /** Profiles of several lanes are interleaved; within a lane, a profile ends where the next begins. */
  readonly lane: number;
  /** Undefined ends the lane's last profile. */
  readonly profile: IdentifiedProfile | undefined;
  readonly events: number;
}

const EVENT_ID_BYTES = 16;

/** Collects rows for one chunk. */
export class ChunkBuilder {
  /** About the size of the chunk. */
  bytes = 0;
  readonly #rows: ChunkRow[] = [];
  readonly #names = new Map<string, number>();
  readonly #nameIndexes: number[] = [];
  readonly #occurredMs: number[] = [];
  readonly #eventIds: Uint8Array[] = [];
  readonly #properties: string[] = [];

  get isEmpty(): boolean {
    return this.#rows.length === 0;
  }

  add(lane: number, profile: IdentifiedProfile, events: readonly ScannedEvent[]): void {
    this.#rows.push({ lane, profile, events: events.length });
    this.bytes += ROW_BYTES + profile.traits.length;
    for (const { id, name, occurredMs, properties } of events) {
      this.#nameIndexes.push(this.#indexOf(name));
      this.#occurredMs.push(Number(occurredMs));
      this.#eventIds.push(id);
      this.#properties.push(properties);
      this.bytes += EVENT_BYTES + properties.length;
    }
  }

  endLane(lane: number): void {
    this.#rows.push({ lane, profile: undefined, events: 0 });
  }

  build(): ProfileChunk {
    return {
      rows: this.#rows,
      names: [...this.#names.keys()],
      nameIndexes: Uint32Array.from(this.#nameIndexes),
      occurredMs: Float64Array.from(this.#occurredMs),
      eventIds: new Uint8Array(Buffer.concat(this.#eventIds)),
      properties: this.#properties,
    };
  }

  #indexOf(name: string): number {
    let index = this.#names.get(name);
    if (index === undefined) {
      index = this.#names.size;
      this.#names.set(name, index);
    }
    return index;
  }
}

const ROW_BYTES = 128;
const EVENT_BYTES = 64;

/** Calls `onRow` for each row, with the row's events. */
export function unpackChunk(
  chunk: ProfileChunk,
  onRow: (lane: number, profile: IdentifiedProfile | undefined, events: Iterable<EngineEvent>) => void,
): void {
  let start = 0;
  for (const { lane, profile, events } of chunk.rows) {
    onRow(lane, profile, eventsOf(chunk, start, start + events));
    start += events;
  }
}

function* eventsOf(chunk: ProfileChunk, start: number, end: number): Generator<EngineEvent> {
  const { names, nameIndexes, occurredMs, eventIds, properties } = chunk;
  for (let index = start; index < end; index += 1) {
    const id = eventIds.subarray(index * EVENT_ID_BYTES, (index + 1) * EVENT_ID_BYTES);
    yield {
      eventName: names[nameIndexes[index] ?? 0] ?? "",
      instant: [occurredMs[index] ?? 0, eventIdText(id)],
      properties: properties[index] ?? "{}",
    };
  }
}
