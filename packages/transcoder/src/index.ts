export * from "./http-metadata.ts";
export { itemsMaxOf } from "./json/field-options.ts";
export { MessageCodecs } from "./json/message-codec.ts";
export { readProtoJson } from "./json/read-proto-json.ts";
export { renderError, toAppError } from "./render-error.ts";
export * from "./rest.ts";
export * from "./transcoder.ts";
