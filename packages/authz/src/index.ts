export * from "./api-key.ts";
export * from "./api-key-verifier.ts";
export * from "./permissions.ts";
export * from "./principal.ts";
export * from "./remote-api-key-lookup.ts";
export * from "./revocation-messages.ts";
export type { BroadcastSource } from "./revocation-monitor.ts";
export * from "./role.ts";
export * from "./service-tokens.ts";
