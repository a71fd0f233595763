export * from "./erase-subjects.ts";
export * from "./labels.ts";
export * from "./personal-json.ts";
<<<<<<< HEAD
export { reachesField } from "./reachable-fields.ts";
=======
export * from "./reachable-fields.ts";
>>>>>>> 6be7a9d (rpc, gateway, protos: name response headers of single methods in the proto)
export * from "./redact.ts";
export * from "./subjects.ts";
