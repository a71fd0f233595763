// Converts a callback that must stay open (a snapshot) to a stream. The producer waits until the consumer
// requests the next item, so items do not accumulate.

/** Rejects the producer's `put` after the consumer has stopped reading. */
class ConsumerGone extends Error {
  override name = "ConsumerGone";
}

interface Offer<Item> {
  readonly item: Item;
  readonly taken: () => void;
  readonly gone: (error: Error) => void;
}

export async function* handOff<Item>(
  signal: AbortSignal,
  produce: (put: (item: Item) => Promise<void>) => Promise<void>,
): AsyncGenerator<Item> {
  let offer: Offer<Item> | undefined;
  let isGone = signal.aborted;
  let isDone = false;
  let wake: () => void = () => {};
  const leave = (): void => {
    isGone = true;
    offer?.gone(new ConsumerGone());
  };
  // If the consumer stops reading, this generator is not resumed, so the signal must release the producer.
  signal.addEventListener("abort", leave, { once: true });
  const producing = produce(
    (item) =>
      new Promise((taken, gone) => {
        if (isGone) return gone(new ConsumerGone());
        offer = { item, taken, gone };
        wake();
      }),
  ).finally(() => {
    isDone = true;
    wake();
  });
  // The promise is awaited below; until then a rejection must not count as unhandled.
  producing.catch(() => {});
  try {
    while (!isDone || offer !== undefined) {
      const next: Offer<Item> | undefined = offer;
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      yield next.item;
      offer = undefined;
      next.taken();
    }
    await producing;
  } finally {
    signal.removeEventListener("abort", leave);
    leave();
    await producing.catch(() => {});
  }
}
