export * from "./failure-log.ts";
export { kindOfError } from "./loggable.ts";
export * from "./logger.ts";
