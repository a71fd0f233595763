// Exports the membership of a person, as a member list shows it.
import { MemberSchema } from "@muster/contracts/muster/identity/v1/member_pb";
import type { Database } from "@muster/db";
import { MessageCodecs } from "@muster/transcoder";
import { memberToProto } from "../memberships/member-proto.ts";
import { findMembership } from "../memberships/membership-store.ts";
import { findUser } from "../users/user-store.ts";
import type { ExportSubject } from "./export-section.ts";

const codecs = new MessageCodecs();

export async function* membershipRecords(
  { reader }: Database,
  { organizationId, userId }: ExportSubject,
): AsyncIterable<string> {
  const membership = await findMembership(reader, organizationId, userId);
  const user = await findUser(reader, userId);
  if (membership === undefined || user === undefined) return;
  yield codecs.message(MemberSchema).encode(memberToProto(membership, user));
}
