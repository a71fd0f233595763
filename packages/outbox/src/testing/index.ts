// Exports statements of this package's stores for the tests of services: plans, and rows that tests write or read.
export { insertDeadLetter } from "../dead-letters/dead-letter-store.ts";
export { findContaining } from "../message-erasure/message-erasure-store.ts";
export { readMessages } from "../producer/outbox-store.ts";
