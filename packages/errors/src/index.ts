export * from "./app-error.ts";
export * from "./languages.ts";
export * from "./reason-table.ts";
