export type { ConsumerTimings, ShardConsumerOptions } from "./consumer-options.ts";
export { type DeadLetter, listDeadLetters } from "./dead-letter-store.ts";
export {
  eraseFromDeadLetters,
  eraseFromOutbox,
  type MessageErasureOptions,
  type MessageRewrite,
} from "./erase-messages.ts";
export { Outbox, type OutboxOptions } from "./outbox.ts";
export { OutboxRelay, type RelayOptions, type RelayTimings } from "./outbox-relay.ts";
export { OutboxTail } from "./outbox-tail.ts";
export * from "./ports.ts";
export { ShardConsumer } from "./shard-consumer.ts";
export { createConsumerTables, createOutboxTables } from "./tables.ts";
export { catchUp, cursorAt, cursorFromNumbers, cursorToNumbers, type TailCursor } from "./tail-cursor.ts";
