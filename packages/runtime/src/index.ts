export * from "./concurrency-limit.ts";
export { deriveKey } from "./derive-key.ts";
export { type DrainOptions, drain, type Listener } from "./drain.ts";
export * from "./module.ts";
export { type Pingable, Readiness, type ReadinessResult } from "./readiness.ts";
export { WorkerGroup } from "./worker-group.ts";
