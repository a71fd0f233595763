// Exports the deletion requests about a person, and those that the person has made about others. Neither names another
// person.
import type { Database } from "@muster/db";
import type { DeletionRequest } from "../deletion-request-storage/deletion-request.ts";
import {
  listDeletionRequestsAbout,
  listDeletionRequestsBy,
} from "../deletion-request-storage/deletion-request-store.ts";
import { type ExportSubject, rowsOf, timeText, timeTextOrNull } from "./export-section.ts";

export async function* deletionRequestRecords(
  { reader }: Database,
  subject: ExportSubject,
): AsyncIterable<string> {
  const about = rowsOf<DeletionRequest>((after, limit) =>
    listDeletionRequestsAbout(reader, subject, after?.id, limit),
  );
  for await (const request of about) yield JSON.stringify(recordOf(request, subject));
  const made = rowsOf<DeletionRequest>((after, limit) =>
    listDeletionRequestsBy(reader, subject, after?.id, limit),
  );
  for await (const request of made) {
    // The request of a person about the own data is among those about the person.
    if (request.userId !== subject.userId) yield JSON.stringify(recordOf(request, subject));
  }
}

function recordOf(request: DeletionRequest, { userId }: ExportSubject) {
  return {
    id: request.id,
    is_about_you: request.userId === userId,
    is_requested_by_you: request.requesterUserId === userId,
    state: request.state,
    create_time: timeText(request.createTimeMs),
    decide_time: timeTextOrNull(request.decideTimeMs),
    complete_time: timeTextOrNull(request.completeTimeMs),
  };
}
