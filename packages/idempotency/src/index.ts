export { IdempotencyLedger } from "./idempotency-ledger.ts";
export { IdempotencySweeper } from "./idempotency-sweeper.ts";
export { createIdempotencyTable } from "./idempotency-table.ts";
export * from "./ledger.ts";
