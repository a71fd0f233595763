export { ShardConsumer } from "./consumer/shard-consumer.ts";
export { type DeadLetter, listDeadLetters } from "./dead-letters/dead-letter-store.ts";
export { domainEventType } from "./domain-event-type.ts";
export {
  eraseFromDeadLetters,
  eraseFromOutbox,
  type MessageErasureOptions,
  type MessageRewrite,
} from "./message-erasure/erase-messages.ts";
export { findClosedOrganization } from "./organization-erasure/closed-organization-store.ts";
export { OrganizationEraser } from "./organization-erasure/organization-eraser.ts";
export type { OrganizationTable } from "./organization-erasure/organization-rows-store.ts";
export type { OrganizationContent, SweepStep } from "./organization-erasure/sweep-organization.ts";
export type { ConsumerTimings, ShardConsumerOptions } from "./owned-shards/consumer-options.ts";
export { readCursors } from "./owned-shards/cursor-store.ts";
export * from "./ports/ports.ts";
export { Outbox, type OutboxOptions } from "./producer/outbox.ts";
export { lockPositions, readPositions } from "./producer/outbox-store.ts";
export { OutboxRelay, type RelayOptions, type RelayTimings } from "./relay/outbox-relay.ts";
export { readPublished } from "./relay/relay-store.ts";
export { createClosedOrganizationsTable, createConsumerTables, createOutboxTables } from "./tables.ts";
export { OutboxTail } from "./tail/outbox-tail.ts";
export {
  catchUp,
  cursorAt,
  cursorFromNumbers,
  cursorToNumbers,
  type TailCursor,
} from "./tail/tail-cursor.ts";
export { type DomainEvent, domainEvent } from "./write-path/domain-event.ts";
export {
  type AfterCommit,
  Refusal,
  WITHOUT_CALL,
  type Write,
  type WriteContext,
  type WriteDeps,
  writeTransaction,
} from "./write-path/write-transaction.ts";
