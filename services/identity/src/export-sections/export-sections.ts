// Lists the sections of an export: what an organization holds about a person, a file for each kind of data.
import { apiKeyRecords } from "./api-keys-section.ts";
import { deletionRequestRecords } from "./deletion-requests-section.ts";
import type { ExportSection } from "./export-section.ts";
import { invitationRecords } from "./invitations-section.ts";
import { loginRecords, loginTotalRecords } from "./logins-section.ts";
import { membershipRecords } from "./membership-section.ts";
import { sessionRecords } from "./sessions-section.ts";

export const exportSections: readonly ExportSection[] = [
  { fileName: "membership.json", schemaVersion: 1, records: membershipRecords },
  { fileName: "sessions.json", schemaVersion: 1, records: sessionRecords },
  { fileName: "logins.json", schemaVersion: 1, records: loginRecords },
  { fileName: "login_totals.json", schemaVersion: 1, records: loginTotalRecords },
  { fileName: "invitations.json", schemaVersion: 1, records: invitationRecords },
  { fileName: "api_keys.json", schemaVersion: 1, records: apiKeyRecords },
  { fileName: "deletion_requests.json", schemaVersion: 1, records: deletionRequestRecords },
];
