export { IdempotencyLedger, KEY_LIFETIME_MS } from "./idempotency-ledger.ts";
export { createIdempotencySubjectsTable, createIdempotencyTable } from "./idempotency-table.ts";
export { IdempotencyWorker } from "./idempotency-worker.ts";
export * from "./ledger.ts";
export { ResponseEraser, type ResponseRewrite, removeKeysOf } from "./response-eraser.ts";
