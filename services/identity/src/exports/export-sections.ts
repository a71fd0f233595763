// Reads what an organization holds about a person, section by section. A section reads rows of this person in this
// organization only.
import { MemberSchema } from "@muster/contracts/muster/identity/v1/member_pb";
import type { OrganizationId, UserId } from "@muster/core";
import type { Database } from "@muster/db";
import { MessageCodecs } from "@muster/transcoder";
import { memberToProto } from "../memberships/member-proto.ts";
import { findMembership } from "../memberships/membership-store.ts";
import type { Session } from "../sessions/session.ts";
import { listSessionsOfOrganization, type SessionCursor } from "../sessions/session-store.ts";
import { findUser } from "../users/user-store.ts";

/** The person, as a member of the organization. */
export interface ExportSubject {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
}

/** A file of the ZIP: a JSON array of records. */
export interface ExportSection {
  readonly fileName: string;
  /** Grows when a field of the records changes its meaning. */
  readonly schemaVersion: number;
  /** The records, each as JSON. */
  records(database: Database, subject: ExportSubject): AsyncIterable<string>;
}

const PAGE_ROWS = 500;
const codecs = new MessageCodecs();

export const exportSections: readonly ExportSection[] = [
  { fileName: "membership.json", schemaVersion: 1, records: membershipRecords },
  { fileName: "sessions.json", schemaVersion: 1, records: sessionRecords },
];

async function* membershipRecords(
  { reader }: Database,
  { organizationId, userId }: ExportSubject,
): AsyncIterable<string> {
  const membership = await findMembership(reader, organizationId, userId);
  const user = await findUser(reader, userId);
  if (membership === undefined || user === undefined) return;
  yield codecs.message(MemberSchema).encode(memberToProto(membership, user));
}

async function* sessionRecords(
  { reader }: Database,
  { organizationId, userId }: ExportSubject,
): AsyncIterable<string> {
  let after: SessionCursor | undefined;
  do {
    const page = await listSessionsOfOrganization(reader, { userId, organizationId }, after, PAGE_ROWS);
    for (const session of page) yield JSON.stringify(sessionRecord(session));
    after = page.length < PAGE_ROWS ? undefined : page.at(-1);
  } while (after !== undefined);
}

function sessionRecord(session: Session) {
  return {
    id: session.id,
    client: session.client,
    client_address: session.clientAddress,
    authentication_methods: session.authenticationMethods,
    create_time: timeText(session.createTimeMs),
    last_used_time: timeText(session.lastUsedTimeMs),
    end_time: session.endTimeMs === undefined ? null : timeText(session.endTimeMs),
    expire_time: timeText(session.expireTimeMs),
  };
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
