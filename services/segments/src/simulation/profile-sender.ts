// Sends profiles to a thread in chunks of bounded size, in order.
import type { ScannedEvent } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import type { ThreadSession } from "@muster/runtime";
import { ChunkBuilder, type IdentifiedProfile, type ProfileChunk } from "./profile-chunks.ts";

/** About the size of a chunk. A part of the scan adds up to 64 KiB, or a large event. */
const CHUNK_BYTES = 64 * 1024;

export class ProfileSender {
  /** Events sent so far. */
  events = 0;
  readonly #session: ThreadSession<ProfileChunk>;
  #chunk = new ChunkBuilder();
  #sent: Promise<void> = Promise.resolve();

  constructor(session: ThreadSession<ProfileChunk>) {
    this.#session = session;
  }

  /** Adds the next events of a lane's profile. Waits while the thread is behind. */
  async add(lane: number, profile: IdentifiedProfile, events: readonly ScannedEvent[]): Promise<void> {
    this.events += events.length;
    this.#chunk.add(lane, profile, events);
    if (this.#chunk.bytes >= CHUNK_BYTES) await this.flush();
  }

  /** Ends the profile that was added last to the lane. */
  endLane(lane: number): void {
    this.#chunk.endLane(lane);
  }

  async flush(): Promise<void> {
    if (!this.#chunk.isEmpty) {
      const chunk = this.#chunk.build();
      this.#chunk = new ChunkBuilder();
      // One after the other: a lane's chunks must not overtake each other.
      this.#sent = this.#sent.then(() => this.#send(chunk));
    }
    await this.#sent;
  }

  async #send(chunk: ProfileChunk): Promise<void> {
    const { nameIndexes, occurredMs, eventIds } = chunk;
    await this.#session.send(chunk, [nameIndexes.buffer, occurredMs.buffer, eventIds.buffer]);
    // A feed in the same process never waits for input or output. Other work gets its turn between chunks.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
