export * from "./caller.ts";
export * from "./handler.ts";
