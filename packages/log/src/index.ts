export * from "./failure-log.ts";
export * from "./logger.ts";
