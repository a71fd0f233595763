export * from "./mail.ts";
export * from "./mail-failure.ts";
