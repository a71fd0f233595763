export * from "./app-error.ts";
export * from "./codes.ts";
export * from "./messages/languages.ts";
export * from "./reason-table.ts";
