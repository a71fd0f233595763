// Exports the invitation that a person has received, and those that the person has sent. A sent one has no address,
// and a received one no inviter, because both are data of other people.
import type { Database } from "@muster/db";
import type { Invitation } from "../invitations/invitation.ts";
import { findInvitationOf, listInvitationsBy } from "../invitations/invitation-store.ts";
import { type ExportSubject, rowsOf, timeText } from "./export-section.ts";

export async function* invitationRecords(
  { reader }: Database,
  { organizationId, userId }: ExportSubject,
): AsyncIterable<string> {
  const received = await findInvitationOf(reader, organizationId, userId);
  if (received !== undefined) {
    yield JSON.stringify({ ...recordOf("received", received), email: received.email });
  }
  const sent = rowsOf<Invitation>((after, limit) =>
    listInvitationsBy(reader, organizationId, { kind: "user", id: userId }, after, limit),
  );
  for await (const invitation of sent) yield JSON.stringify(recordOf("sent", invitation));
}

function recordOf(direction: "received" | "sent", { id, createTimeMs, expireTimeMs }: Invitation) {
  return { id, direction, create_time: timeText(createTimeMs), expire_time: timeText(expireTimeMs) };
}
