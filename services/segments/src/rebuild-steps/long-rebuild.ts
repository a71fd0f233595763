// Rebuilds the profiles of one task beside the applying of messages. Nothing is written until the owner of the shard
// finishes the rebuild.
import { type Clock, WorkBudget } from "@muster/core";
import type { Database } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import type { ThreadPool } from "@muster/runtime";
import type { Definitions } from "../engine/state/definitions.ts";
import type { DecodedMessage } from "../events/decode-message.ts";
import type { EventsFeed } from "../events/events-feed.ts";
import type { RebuildTask } from "../rebuild/rebuild-planner.ts";
import type { ScannedShard } from "../rebuild/replace-states.ts";
import { scanWholeShard } from "../rebuild/scan-shard.ts";
import { applyMissedMessages, readMissedMessages } from "./catch-up.ts";
import type { RuleVersions } from "./rule-versions.ts";
import type { EvaluatedShards, StateWriter } from "./state-writer.ts";

export interface LongRebuildDeps {
  readonly clock: Clock;
  readonly database: Database;
  readonly feed: EventsFeed;
  readonly ruleVersions: RuleVersions;
  readonly threads: ThreadPool;
  readonly writer: StateWriter;
}

/**
 * The result of an attempt to finish: not ready; written; or in conflict with changes meanwhile, so that the task
 * starts again.
 */
export type Finish = "pending" | "conflict" | { readonly scanned: ScannedShard; readonly writeMs: number };

/** Most messages that are read while no message is applied; with more, the rebuild first catches up. */
const MISSED_MESSAGES_MAX = 200;
/** Most evaluations; after the last one, a change of the profile is a conflict. */
const EVALUATIONS_MAX = 4;

/** The evaluated states, with all messages up to the position. */
interface Ready {
  readonly scanned: ScannedShard;
  readonly evaluated: EvaluatedShards;
  position: number;
}

export class LongRebuild {
  readonly task: RebuildTask;
  readonly #deps: LongRebuildDeps;
  readonly #signal: AbortSignal;
  readonly #onReady: () => void;
  readonly #canceled = new AbortController();
  #ready: Ready | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isConflict = false;
  #awaitsMessages = false;
  #evaluations = 0;

  constructor(deps: LongRebuildDeps, task: RebuildTask, signal: AbortSignal, onReady: () => void) {
    this.#deps = deps;
    this.task = task;
    this.#signal = AbortSignal.any([signal, this.#canceled.signal]);
    this.#onReady = onReady;
    this.#run(() => this.#scan());
  }

  /** The rebuild is ready, and waits until the shard has applied the messages that the snapshot contains. */
  get awaitsMessages(): boolean {
    return this.#awaitsMessages;
  }

  cancel(): void {
    this.#canceled.abort(new Error("the rebuild is canceled"));
  }

  /** Called between two batches of messages. Rejects with the failure of the rebuild. */
  async finish(owned: OwnedShards): Promise<Finish> {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#isConflict) return "conflict";
    const ready = this.#ready;
    if (ready === undefined) return "pending";
    const { shard, organizationId } = this.task;
    const { database, feed, ruleVersions, writer } = this.#deps;
    const newest = await ruleVersions.loadProvisioned(database.reader, organizationId);
    if (newest.version !== ready.evaluated.definitions.version) return "conflict";
    const through = owned.position(shard);
    // The snapshot contains messages that are not applied yet.
    this.#awaitsMessages = through < ready.position;
    if (this.#awaitsMessages) return "pending";
    if (through - ready.position > MISSED_MESSAGES_MAX) return this.#catchUp(ready, through);
    const missed = await readMissedMessages(feed, ready.scanned, { after: ready.position, through });
    if (missed === undefined) return "conflict";
    if (missed.length > 0) return this.#catchUp(ready, through, missed);
    ready.position = through;
    if (!this.#hasOwnBackfills(ready)) return "conflict";
    const writeMs = await writer.writeIfCurrent(owned, ready.evaluated);
    if (writeMs !== undefined) return { scanned: ready.scanned, writeMs };
    return this.#catchUp(ready, through, []);
  }

  async #scan(): Promise<void> {
    const { clock, database, feed, ruleVersions, threads } = this.#deps;
    const signal = this.#signal;
    const definitions = await ruleVersions.loadProvisioned(database.reader, this.task.organizationId);
    const budget = WorkBudget.inSlices({ clock, signal });
    const deps = { database, feed, threads: { pool: threads, isTaken: false } };
    const options = { nowMs: clock.nowMs(), budget, signal };
    await this.#evaluate(await scanWholeShard(deps, this.task, definitions, options), definitions);
  }

  /** The messages up to the position are part of the scanned states. */
  async #evaluate(scanned: ScannedShard, definitions: Definitions): Promise<void> {
    const evaluated = await this.#deps.writer.evaluate([scanned], definitions);
    this.#ready = { scanned, evaluated, position: scanned.position };
  }

  #catchUp({ scanned, evaluated, position }: Ready, through: number, known?: DecodedMessage[]): Finish {
    this.#evaluations += 1;
    if (this.#evaluations >= EVALUATIONS_MAX) return "conflict";
    this.#ready = undefined;
    this.#run(async () => {
      const range = { after: position, through };
      const missed = known ?? (await readMissedMessages(this.#deps.feed, scanned, range));
      const { definitions } = evaluated;
      const nowMs = this.#deps.clock.nowMs();
      if (missed === undefined || !applyMissedMessages(scanned.states, definitions, missed, nowMs)) {
        this.#isConflict = true;
        return;
      }
      for (const state of scanned.states.values()) state.asOf = through;
      await this.#evaluate({ ...scanned, position: through, appliedPosition: through }, definitions);
    });
    return "pending";
  }

  /** Whether the backfills of the task are where the task begins. */
  #hasOwnBackfills({ evaluated }: Ready): boolean {
    if ("ids" in this.task.profiles) return true;
    const [shard] = evaluated.shards;
    return JSON.stringify(shard?.basis.backfills) === JSON.stringify(this.task.backfills);
  }

  #run(body: () => Promise<void>): void {
    void body()
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .finally(() => {
        if (!this.#signal.aborted) this.#onReady();
      });
  }
}
