export { AnswerEraser, type AnswerRewrite } from "./answer-eraser.ts";
export { IdempotencyLedger } from "./idempotency-ledger.ts";
export { IdempotencySweeper } from "./idempotency-sweeper.ts";
export { createIdempotencySubjectsTable, createIdempotencyTable } from "./idempotency-table.ts";
export * from "./ledger.ts";
