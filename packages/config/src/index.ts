export { envExample, printConfig } from "./describe-config.ts";
export { libuvThreads } from "./libuv-threads.ts";
export { type Config, ConfigError, databaseOf, type Environment, loadConfig } from "./load-config.ts";
export { SERVICE_NAMES, TARGETS, type Target } from "./variable.ts";
export { variables } from "./variables.ts";
