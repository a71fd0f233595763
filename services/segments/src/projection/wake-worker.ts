// Wakes the owners of shards when a replica or an RPC of this process adds work.
import type { Bus } from "@muster/bus";
import type { Worker } from "@muster/runtime";
import { WORK_TOPIC } from "../topics.ts";

export class WakeWorker implements Worker {
  readonly name = "segments.wake";
  readonly #bus: Bus;
  readonly #woken: readonly { wake(): void }[];
  #stopListening: (() => void) | undefined;

  constructor(bus: Bus, woken: readonly { wake(): void }[]) {
    this.#bus = bus;
    this.#woken = woken;
  }

  async start(): Promise<void> {
    this.#stopListening = this.#bus.onBroadcast(WORK_TOPIC, () => {
      for (const one of this.#woken) one.wake();
    });
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
  }
}
