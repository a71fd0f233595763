export * from "./concurrency-limit.ts";
export { deriveKey } from "./derive-key.ts";
export { type DrainOptions, drain, type Listener } from "./drain.ts";
export * from "./module.ts";
export { type Pingable, Readiness, type ReadinessResult } from "./readiness.ts";
export { ThreadPool, type ThreadPoolOptions } from "./threads/thread-pool.ts";
export type { ThreadSession } from "./threads/thread-session.ts";
export { WorkerGroup } from "./worker-group.ts";
