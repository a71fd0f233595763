// Exports the sessions of a person.
import type { Database } from "@muster/db";
import type { Session } from "../sessions/session.ts";
import { listSessionsOfOrganization } from "../sessions/session-store.ts";
import { type ExportSubject, rowsOf, timeText, timeTextOrNull } from "./export-section.ts";

export async function* sessionRecords({ reader }: Database, subject: ExportSubject): AsyncIterable<string> {
  const sessions = rowsOf<Session>((after, limit) =>
    listSessionsOfOrganization(reader, subject, after, limit),
  );
  for await (const session of sessions) yield JSON.stringify(recordOf(session));
}

function recordOf(session: Session) {
  return {
    id: session.id,
    client: session.client,
    client_address: session.clientAddress,
    authentication_methods: session.authenticationMethods,
    create_time: timeText(session.createTimeMs),
    last_used_time: timeText(session.lastUsedTimeMs),
    end_time: timeTextOrNull(session.endTimeMs),
    expire_time: timeText(session.expireTimeMs),
  };
}
