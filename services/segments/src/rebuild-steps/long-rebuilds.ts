// Queues tasks with long histories, and runs a single task beside the applying of messages.
import type { OrganizationId } from "@muster/core";
import type { OwnedShards } from "@muster/outbox";
import { LRUCache } from "lru-cache";
import { type ProfileKey, profileKeyText } from "../profiles/profile-key.ts";
import type { BusyTasks, RebuildTask } from "../rebuild/rebuild-planner.ts";
import type { ScannedShard } from "../rebuild/replace-states.ts";
import { LongRebuild, type LongRebuildDeps } from "./long-rebuild.ts";

/** Tasks that wait. With more, a step rebuilds the long history. */
const WAITING_MAX = 100;
/** Conflicts of a task with changes meanwhile, and failures; afterwards a step rebuilds the task, while no message is applied. */
const CONFLICTS_MAX = 3;
/** Remembered tasks with conflicts. */
const REMEMBERED_MAX = 10_000;

export class LongRebuilds implements BusyTasks {
  readonly #deps: LongRebuildDeps;
  readonly #onReady: () => void;
  readonly #waiting = new Map<string, RebuildTask>();
  readonly #conflicts = new LRUCache<string, number>({ max: REMEMBERED_MAX });
  #running: LongRebuild | undefined;

  constructor(deps: LongRebuildDeps, onReady: () => void) {
    this.#deps = deps;
    this.#onReady = onReady;
  }

  get size(): number {
    return this.#waiting.size + (this.#running === undefined ? 0 : 1);
  }

  get awaitsMessages(): boolean {
    return this.#running?.awaitsMessages ?? false;
  }

  hasProfile(key: ProfileKey): boolean {
    return this.#has(profileText(key));
  }

  hasBackfill(organizationId: OrganizationId, shard: number): boolean {
    return this.#has(backfillText(organizationId, shard));
  }

  /** Returns false if a step must rebuild the task. The task is of a single profile, by id or as a range. */
  add(task: RebuildTask): boolean {
    const isConflicting = (this.#conflicts.get(textOf(task)) ?? 0) >= CONFLICTS_MAX;
    if (isConflicting || this.#waiting.size >= WAITING_MAX) return false;
    this.#waiting.set(textOf(task), task);
    return true;
  }

  /** Starts the next task, or finishes the running one. Returns the written chunk, if any. */
  async step(
    owned: OwnedShards,
    signal: AbortSignal,
  ): Promise<{ readonly scanned: ScannedShard; readonly writeMs: number } | undefined> {
    this.#dropForeign(owned);
    if (this.#running === undefined) this.#start(signal);
    const running = this.#running;
    if (running === undefined) return undefined;
    const finish = await this.#finish(running, owned);
    if (finish === "pending") return undefined;
    const key = textOf(running.task);
    this.#running = undefined;
    this.#start(signal);
    if (finish === "conflict") {
      this.#countConflict(key);
      return undefined;
    }
    this.#conflicts.delete(key);
    return finish;
  }

  async #finish(running: LongRebuild, owned: OwnedShards): ReturnType<LongRebuild["finish"]> {
    try {
      return await running.finish(owned);
    } catch (error) {
      running.cancel();
      this.#running = undefined;
      // The failure may be of a thread, which a step does not need.
      this.#countConflict(textOf(running.task));
      throw error;
    }
  }

  #countConflict(key: string): void {
    this.#conflicts.set(key, (this.#conflicts.get(key) ?? 0) + 1);
  }

  #start(signal: AbortSignal): void {
    const [next] = this.#waiting;
    if (next === undefined) return;
    const [key, task] = next;
    this.#waiting.delete(key);
    this.#running = new LongRebuild(this.#deps, task, signal, this.#onReady);
  }

  /** Another replica rebuilds the profiles of a lost shard, because their marks stay until the write. */
  #dropForeign({ shards }: OwnedShards): void {
    for (const [key, { shard }] of this.#waiting) if (!shards.includes(shard)) this.#waiting.delete(key);
    if (this.#running === undefined || shards.includes(this.#running.task.shard)) return;
    this.#running.cancel();
    this.#running = undefined;
  }

  #has(key: string): boolean {
    return this.#waiting.has(key) || (this.#running !== undefined && textOf(this.#running.task) === key);
  }
}

function textOf({ organizationId, shard, profiles }: RebuildTask): string {
  const [profileId] = "ids" in profiles ? profiles.ids : [];
  if (profileId === undefined) return backfillText(organizationId, shard);
  return profileText({ organizationId, shard, profileId });
}

function profileText({ organizationId, profileId }: ProfileKey): string {
  return profileKeyText(organizationId, profileId);
}

function backfillText(organizationId: OrganizationId, shard: number): string {
  return `${organizationId} ${shard}`;
}
