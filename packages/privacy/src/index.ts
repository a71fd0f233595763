export * from "./erase-subjects.ts";
export * from "./labels.ts";
export * from "./personal-json.ts";
export * from "./reachable-fields.ts";
export * from "./redact.ts";
export * from "./secrets.ts";
export * from "./subjects.ts";
