// Moves the rest of a profile's events to a thread, once a thread is free. Until then, the events are applied on the
// main thread, so that a rebuild never waits for other tasks of the organization.
import type { ScannedEvent } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import type { OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { ThreadPool, ThreadSession } from "@muster/runtime";
import type { Definitions } from "../engine/state/definitions.ts";
import type { ProfileState } from "../engine/state/profile-state.ts";
import { decodeState, encodeState } from "../engine/state/state-codec.ts";
import { encodeDefinition } from "../simulation/encoded-definitions.ts";
import type { IdentifiedProfile, ProfileChunk } from "../simulation/profile-chunks.ts";
import { ProfileSender } from "../simulation/profile-sender.ts";
import { REBUILD, type RebuildChunk, type RebuildInput } from "./rebuild-task.ts";

export interface LongHistoryOptions {
  readonly organizationId: OrganizationId;
  readonly definitions: Definitions;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** The thread of one profile. */
export class LongHistory {
  readonly #ended = Promise.withResolvers<void>();
  readonly #canceled = new AbortController();
  readonly #result: Promise<string>;
  #session: ThreadSession<RebuildChunk> | undefined;
  #sender: ProfileSender | undefined;

  constructor(threads: ThreadPool, { organizationId, definitions, nowMs, signal }: LongHistoryOptions) {
    const input: RebuildInput = {
      definitions: [...definitions.segments.values()].map(encodeDefinition),
      nowMs,
    };
    const options = { organizationId, input, signal: AbortSignal.any([signal, this.#canceled.signal]) };
    this.#result = threads.run(REBUILD, options, async (session) => {
      this.#session = session;
      await this.#ended.promise;
    });
    // A thread that never starts is no failure, and `finish` rejects after any other failure.
    this.#result.catch(() => {});
  }

  /**
   * Passes the next events to the thread. Returns false if the thread has not started: the caller applies the events
   * to the state.
   */
  async add(
    profile: IdentifiedProfile,
    events: readonly ScannedEvent[],
    state: ProfileState,
  ): Promise<boolean> {
    if (this.#session === undefined) return false;
    if (this.#sender === undefined) {
      this.#sender = new ProfileSender(this.#session as ThreadSession<ProfileChunk | RebuildChunk>);
      await this.#session.send({ state: encodeState(state) });
    }
    await this.#sender.add(0, profile, events);
    return true;
  }

  /** The state after all events; undefined if none was passed to the thread. */
  async finish(): Promise<ProfileState | undefined> {
    if (this.#sender === undefined) {
      this.cancel();
      return undefined;
    }
    await this.#sender.flush();
    this.#ended.resolve();
    return decodeState(await this.#result);
  }

  cancel(): void {
    this.#canceled.abort(new AppError("CANCELED"));
    this.#ended.resolve();
  }
}
