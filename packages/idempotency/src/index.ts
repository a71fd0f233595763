export { IdempotencyLedger } from "./idempotency-ledger.ts";
export { IdempotencySweeper } from "./idempotency-sweeper.ts";
export * from "./ledger.ts";
