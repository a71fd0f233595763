export * from "./app-error.ts";
export * from "./reason-table.ts";
