// GetProfileExport returns all data about a person in one response.
import type { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { BODY_BYTES_MAX } from "@muster/core";
import { type AppError, invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { ExportedRecord } from "./export-records.ts";
import { bytesOf, type ExportDeps, findSubject, readRecords } from "./read-person-export.ts";

/** Leaves room for the message around the records. */
const RESPONSE_BYTES_MAX = BODY_BYTES_MAX - 64 * 1024;

export function getProfileExport(
  deps: ExportDeps,
): UnaryHandler<typeof ExportService.method.getProfileExport> {
  return async ({ profileId }, context) => {
    const subject = await findSubject(deps, context, profileId);
    const records: ExportedRecord[] = [];
    let bytes = 0;
    await readRecords(deps, subject, async (record) => {
      bytes += bytesOf(record);
      if (bytes > RESPONSE_BYTES_MAX) throw tooLargeError();
      records.push(record);
    });
    return { records };
  };
}

function tooLargeError(): AppError {
  const problem = "has an export of more than 4 MiB; stream the export by ExportService.ExportProfile";
  return invalidField("profile_id", problem);
}
