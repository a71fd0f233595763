// Converts a callback that must stay open (a snapshot) to a stream. The producer waits until the consumer
// requests the next item, so items do not accumulate.

/** Rejects the producer's `put` after the consumer has stopped reading. */
class ConsumerGone extends Error {
  override name = "ConsumerGone";
}

interface PendingItem<Item> {
  readonly item: Item;
  readonly taken: () => void;
  readonly gone: (error: Error) => void;
}

/**
 * Runs `produce` and yields the emitted items. An abort of the signal rejects the pending and later `emit`
 * calls.
 */
export async function* callbackStream<Item>(
  signal: AbortSignal,
  produce: (emit: (item: Item) => Promise<void>) => Promise<void>,
): AsyncGenerator<Item> {
  let pending: PendingItem<Item> | undefined;
  let isGone = signal.aborted;
  let isDone = false;
  let wake: () => void = () => {};
  const abandon = (): void => {
    isGone = true;
    pending?.gone(new ConsumerGone());
  };
  // If the consumer stops reading, this generator is not resumed, so the signal must release the producer.
  signal.addEventListener("abort", abandon, { once: true });
  const producing = produce(
    (item) =>
      new Promise((taken, gone) => {
        if (isGone) return gone(new ConsumerGone());
        pending = { item, taken, gone };
        wake();
      }),
  ).finally(() => {
    isDone = true;
    wake();
  });
  // The promise is awaited below; until then a rejection must not count as unhandled.
  producing.catch(() => {});
  try {
    while (!isDone || pending !== undefined) {
      const next: PendingItem<Item> | undefined = pending;
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      yield next.item;
      pending = undefined;
      next.taken();
    }
    await producing;
  } finally {
    signal.removeEventListener("abort", abandon);
    abandon();
    await producing.catch(() => {});
  }
}
