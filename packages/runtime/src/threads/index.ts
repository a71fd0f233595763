export * from "./serve-task.ts";
export * from "./task-control.ts";
export { threadTask } from "./thread-task.ts";
