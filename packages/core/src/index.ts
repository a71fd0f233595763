export * from "./assert.ts";
export * from "./clock.ts";
export * from "./ids.ts";
export * from "./limits.ts";
export * from "./page-token.ts";
export * from "./shard.ts";
export * from "./wakeup.ts";
