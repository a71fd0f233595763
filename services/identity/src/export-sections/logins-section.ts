// Exports the logins of a person: those of the last 90 days, and the counts of the windows.
import type { Database } from "@muster/db";
import { type LoginEvent, listLoginsOf } from "../login-counts/login-event-store.ts";
import { listTotalsOf } from "../login-counts/login-totals-store.ts";
import { type ExportSubject, rowsOf, timeText } from "./export-section.ts";

export async function* loginRecords({ reader }: Database, subject: ExportSubject): AsyncIterable<string> {
  const logins = rowsOf<LoginEvent>((after, limit) => listLoginsOf(reader, subject, after, limit));
  for await (const { loginId, timeMs } of logins) {
    yield JSON.stringify({ id: loginId, time: timeText(timeMs) });
  }
}

export async function* loginTotalRecords(
  { reader }: Database,
  { organizationId, userId }: ExportSubject,
): AsyncIterable<string> {
  for (const { windowDays, logins } of await listTotalsOf(reader, organizationId, userId)) {
    yield JSON.stringify({ window_days: windowDays, logins });
  }
}
