export { renderError } from "./render-error.ts";
export type { RestContext, RestRequest, RestResponse, UnaryCaller } from "./rest.ts";
export type { Route } from "./routes/route.ts";
export type { PathAlias } from "./routes/route-table.ts";
export { type QueryMetadata, Transcoder, type TranscoderOptions } from "./transcoder.ts";
