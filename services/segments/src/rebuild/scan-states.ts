// Scans profiles from a snapshot of their raw events and computes the states.
import type { ScannedEvent, ScannedProfile } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import type { OrganizationId, ProfileId, WorkBudget } from "@muster/core";
import type { ThreadPool } from "@muster/runtime";
import { recordEvent, recordProfile } from "../engine/state/apply-events.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { emptyState, type ProfileState } from "../engine/state/profile-state.ts";
import { eventIdText } from "../events/event-id.ts";
import type { EventsFeed, ScanRequest } from "../events/events-feed.ts";
import { LongHistory } from "./long-history.ts";
import { EVENT_UNITS, MAIN_THREAD_EVENTS_MAX } from "./rebuild-units.ts";
import type { ScanScope } from "./scan-scope.ts";

/** The result of a scan. */
export interface ScannedStates {
  /** The shard's position of the snapshot. */
  readonly position: number;
  /** Whether more profiles follow. */
  readonly more: boolean;
  /** Events received or dated from this instant on are complete; 0 means all events. */
  readonly completeSinceMs: number;
  /** False if no rule reads events or profiles: then there was no scan, and `states` is empty. */
  readonly isScanned: boolean;
  /** By profile, in order of id; without memberships. */
  readonly states: ReadonlyMap<ProfileId, ProfileState>;
  /** The keys of the facts whose events were all read; undefined means every fact. */
  readonly factKeys: ReadonlySet<string> | undefined;
  /** The number of scanned events, by profile. */
  readonly eventCounts: ReadonlyMap<ProfileId, number>;
  /** The profile with too many events, before which the scan has ended. */
  readonly longProfileId?: ProfileId | undefined;
}

export interface ScanDeps {
  readonly feed: Pick<EventsFeed, "scan">;
  /** Undefined: the main thread applies all events. */
  readonly threads: ThreadSlot | undefined;
}

/** Lets one scan of a step use a thread, so that further tasks of the organization find room. */
export interface ThreadSlot {
  readonly pool: ThreadPool;
  isTaken: boolean;
}

/** Events later than `nowMs` wait in the state. The budget yields between slices and ends a canceled scan. */
export interface ScanOptions {
  readonly nowMs: number;
  readonly budget: WorkBudget;
  readonly signal: AbortSignal;
  /** The scan ends before the first profile with more events. */
  readonly profileEventsMax?: number;
}

/** Applies each profile's events to the definitions' facts. */
export async function scanStates(
  deps: ScanDeps,
  request: Omit<ScanRequest, "eventNames">,
  definitions: Definitions,
  scope: ScanScope | undefined,
  options: ScanOptions,
): Promise<ScannedStates> {
  // No rule reads events or profiles.
  if (scope === undefined) {
    return {
      factKeys: undefined,
      position: Number.MAX_SAFE_INTEGER,
      more: false,
      completeSinceMs: 0,
      isScanned: false,
      states: new Map(),
      eventCounts: new Map(),
    };
  }
  const collector = new StateCollector(deps.threads, request.organizationId, definitions, options);
  try {
    const { factKeys, ...filter } = scope;
    const scan = await deps.feed.scan(
      { ...request, ...filter, profileEventsMax: options.profileEventsMax },
      (profileId, events, profile) => collector.add(profileId, events, profile),
      { signal: options.signal },
    );
    const { states, eventCounts } = await collector.finish();
    for (const state of states.values()) state.asOf = scan.position;
    return { ...scan, factKeys, isScanned: true, states, eventCounts };
  } finally {
    collector.cancel();
  }
}

/** Collects the states of one scan, in which the events of a profile are consecutive. */
class StateCollector {
  readonly #states = new Map<ProfileId, ProfileState>();
  readonly #eventCounts = new Map<ProfileId, number>();
  readonly #threads: ThreadSlot | undefined;
  readonly #definitions: Definitions;
  readonly #options: ScanOptions;
  readonly #organizationId: OrganizationId;
  #longHistory: LongHistory | undefined;
  /** The profile of the long history. */
  #longProfileId: ProfileId | undefined;

  constructor(
    threads: ThreadSlot | undefined,
    organizationId: OrganizationId,
    definitions: Definitions,
    options: ScanOptions,
  ) {
    this.#threads = threads;
    this.#organizationId = organizationId;
    this.#definitions = definitions;
    this.#options = options;
  }

  async add(profileId: ProfileId, events: readonly ScannedEvent[], profile: ScannedProfile): Promise<void> {
    const engineProfile = { createMs: Number(profile.createTimeMs), traits: profile.traits };
    let state = this.#states.get(profileId);
    if (state === undefined) {
      await this.#finishLongHistory();
      state = emptyState();
      this.#states.set(profileId, state);
      recordProfile(state, this.#definitions, engineProfile, new Set());
    }
    const count = (this.#eventCounts.get(profileId) ?? 0) + events.length;
    this.#eventCounts.set(profileId, count);
    if (count > MAIN_THREAD_EVENTS_MAX && this.#threads?.isTaken === false) {
      this.#threads.isTaken = true;
      const { nowMs, signal } = this.#options;
      const [organizationId, definitions] = [this.#organizationId, this.#definitions];
      this.#longHistory = new LongHistory(this.#threads.pool, { organizationId, definitions, nowMs, signal });
      this.#longProfileId = profileId;
    }
    if (await this.#longHistory?.add({ id: profileId, ...engineProfile }, events, state)) return;
    await this.#record(state, events);
  }

  async finish(): Promise<Pick<ScannedStates, "states" | "eventCounts">> {
    await this.#finishLongHistory();
    return { states: this.#states, eventCounts: this.#eventCounts };
  }

  /** Frees the thread after a failure. */
  cancel(): void {
    this.#longHistory?.cancel();
    this.#freeThread();
  }

  async #record(state: ProfileState, events: readonly ScannedEvent[]): Promise<void> {
    const { budget, nowMs } = this.#options;
    for (const { id, name, occurredMs, properties } of events) {
      budget.spend(EVENT_UNITS);
      if (budget.isSliceOver) await budget.turn();
      const instant = [Number(occurredMs), eventIdText(id)] as const;
      recordEvent(state, this.#definitions, { eventName: name, instant, properties }, nowMs, new Set());
    }
  }

  async #finishLongHistory(): Promise<void> {
    const state = await this.#longHistory?.finish();
    if (state !== undefined && this.#longProfileId !== undefined)
      this.#states.set(this.#longProfileId, state);
    this.#freeThread();
  }

  #freeThread(): void {
    if (this.#longHistory !== undefined && this.#threads !== undefined) this.#threads.isTaken = false;
    this.#longHistory = undefined;
  }
}
