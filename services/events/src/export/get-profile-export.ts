// GetProfileExport streams all data about a person as one JSON document.
import { create } from "@bufbuild/protobuf";
import { type HttpBody, HttpBodySchema } from "@muster/contracts/google/api/httpbody_pb";
import type { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { beginDownload, type ServerStreamHandler } from "@muster/rpc";
import type { ExportedRecord } from "./export-records.ts";
import { exportStream, type PartWriter } from "./export-stream.ts";
import { type ExportDeps, findSubject } from "./read-person-export.ts";

const CONTENT_TYPE = "application/json";
/** Characters of a piece; a larger record is a piece of its own. */
const PIECE_CHARACTERS_MAX = 64 * 1024;

export function getProfileExport(
  deps: ExportDeps,
): ServerStreamHandler<typeof ExportService.method.getProfileExport> {
  return async function* ({ profileId }, context) {
    const subject = await findSubject(deps, context, profileId);
    const { isHead } = beginDownload(context, { contentType: CONTENT_TYPE });
    if (isHead) return;
    yield* exportStream<HttpBody>(deps, subject, (put) => new DocumentPieces(put));
  };
}

/** Writes `{"records":[…]}` in pieces. */
class DocumentPieces implements PartWriter {
  readonly #put: (piece: HttpBody) => Promise<void>;
  #text = '{"records":[';
  #separator = "";

  constructor(put: (piece: HttpBody) => Promise<void>) {
    this.#put = put;
  }

  async add({ kind, data }: ExportedRecord): Promise<void> {
    if (this.#text.length + data.length > PIECE_CHARACTERS_MAX) await this.#flush();
    // `data` is a JSON object already.
    this.#text += `${this.#separator}{"kind":${JSON.stringify(kind)},"data":${data}}`;
    this.#separator = ",";
  }

  async finish(): Promise<void> {
    this.#text += "]}";
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const piece = create(HttpBodySchema, { contentType: CONTENT_TYPE, data: Buffer.from(this.#text) });
    this.#text = "";
    await this.#put(piece);
  }
}
