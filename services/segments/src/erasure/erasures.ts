// Sees to it that erased people go from everything that was kept of them here, and then says so to the events
// service. A worker that goes on with what a crash left: a row stays until the report is acknowledged.
import type { Bus } from "@muster/bus";
import { type Clock, Wakeup } from "@muster/core";
import type { Logger } from "@muster/log";
import type { ShardConsumer } from "@muster/outbox";
import { readPublished } from "@muster/outbox/relay-store";
import { readDerivationReasons } from "../backfills/derivation-store.ts";
import type { EventsFeed } from "../events-feed.ts";
import { SETTLED_TOPIC } from "../folder.ts";
import { type CleanDeps, cleanCopies } from "./clean-copies.ts";
import { deleteErasure, type Erasure, listErasures, readPlaces } from "./erasure-store.ts";
import { NOTHING_REMOVED, places } from "./places.ts";

export interface ErasuresOptions extends CleanDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly consumer: Pick<ShardConsumer, "ownedShards">;
  readonly feed: EventsFeed;
  readonly log: Logger;
}

/** Said when messages in the outbox were rewritten: whoever keeps copies forgets them. */
export const ERASED_TOPIC = "segments.erased";

const NOTHING = new Uint8Array();
const ERASURES_AT_ONCE = 100;
/** The net under broadcasts, and how often a failure is tried again. */
const LOOK_MS = 2_000;
/** Until the relay has published what the broker is to forget, or the profile's rows are gone. */
const WAIT_MS = 100;

/** The owner of a shard works for it. Two at once, around a hand-over, do no harm: see cleanCopies. */
export class Erasures {
  readonly name = "segments.erasures";
  readonly #options: ErasuresOptions;
  readonly #wakeup = new Wakeup();
  readonly #stopping = new AbortController();
  #stopListening: (() => void) | undefined;
  #loop: Promise<void> | undefined;
  #isFailing = false;

  constructor(options: ErasuresOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#stopListening = this.#options.bus.onBroadcast(SETTLED_TOPIC, () => this.#wakeup.notify());
    this.#loop = this.#run();
  }

  /** Finishes the step it is at. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#stopListening?.();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let isWaiting = false;
      try {
        isWaiting = await this.#step();
        if (this.#isFailing) log.info({}, "erasures go on");
        this.#isFailing = false;
      } catch (error) {
        if (!this.#isFailing) log.warn({ err: error }, "erasures can't go on; trying again");
        this.#isFailing = true;
      }
      await this.#wakeup.wait(clock, isWaiting ? WAIT_MS : LOOK_MS, signal);
    }
  }

  /** True if something has to wait for others. */
  async #step(): Promise<boolean> {
    const { consumer, database } = this.#options;
    const found = await listErasures(database.reader, consumer.ownedShards(), ERASURES_AT_ONCE);
    const groups = Map.groupBy(found, ({ organizationId, shard }) => `${organizationId}/${shard}`);
    let isWaiting = false;
    for (const group of groups.values()) {
      if (this.#stopping.signal.aborted) return false;
      const ready = await this.#readyOf(group);
      if (ready.length < group.length) isWaiting = true;
      if (ready.length > 0) await this.#finish(ready);
    }
    return isWaiting;
  }

  /** Those whose rows are gone, and of whom nothing is yet to be published. */
  async #readyOf(group: readonly Erasure[]): Promise<Erasure[]> {
    const [first] = group;
    if (first === undefined) return [];
    const { reader } = this.#options.database;
    const ids = group.map(({ profileId }) => profileId);
    const marked = await readDerivationReasons(reader, first.organizationId, first.shard, ids);
    // A relay may have a message in memory as it was; so it has to be past it.
    const published = (await readPublished(reader)).get(first.shard) ?? 0;
    return group.filter(({ profileId, through }) => !marked.has(profileId) && through <= published);
  }

  /** They are of one organisation and shard. */
  async #finish(erasures: readonly Erasure[]): Promise<void> {
    const { bus, database, feed } = this.#options;
    const [first] = erasures;
    const isClean = await cleanCopies(this.#options, erasures, async () => !this.#stopping.signal.aborted);
    if (first === undefined || !isClean) return;
    bus.broadcast(ERASED_TOPIC, NOTHING);
    await bus.forget("segments", first.shard);
    for (const erasure of erasures) {
      const removed = await readPlaces(database.reader, erasure);
      await feed.reportErasure(erasure, { ...NOTHING_REMOVED, ...removed, [places.stream]: 1 });
      await database.transaction((trx) => deleteErasure(trx, erasure));
    }
  }
}
