// ExportProfile streams all data about a person.
import { create } from "@bufbuild/protobuf";
import {
  type ExportProfileResponse,
  ExportProfileResponseSchema,
  type ExportService,
} from "@muster/contracts/muster/events/v1/export_service_pb";
import type { ServerStreamHandler } from "@muster/rpc";
import type { ExportedRecord } from "./export-records.ts";
import { exportStream, type PartWriter } from "./export-stream.ts";
import { bytesOf, type ExportDeps, findSubject } from "./read-person-export.ts";

/** The records of one message of the stream; a larger record is sent alone. */
const PART_BYTES_MAX = 256 * 1024;

export function exportProfile(
  deps: ExportDeps,
): ServerStreamHandler<typeof ExportService.method.exportProfile> {
  return async function* ({ profileId }, context) {
    const subject = await findSubject(deps, context, profileId);
    yield* exportStream<ExportProfileResponse>(deps, subject, (put) => new ResponseParts(put));
  };
}

/** Groups records into messages of bounded size. */
class ResponseParts implements PartWriter {
  readonly #put: (part: ExportProfileResponse) => Promise<void>;
  #records: ExportedRecord[] = [];
  #bytes = 0;

  constructor(put: (part: ExportProfileResponse) => Promise<void>) {
    this.#put = put;
  }

  async add(record: ExportedRecord): Promise<void> {
    const bytes = bytesOf(record);
    if (this.#bytes > 0 && this.#bytes + bytes > PART_BYTES_MAX) await this.finish();
    this.#records.push(record);
    this.#bytes += bytes;
  }

  async finish(): Promise<void> {
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    await this.#put(create(ExportProfileResponseSchema, { records }));
  }
}
