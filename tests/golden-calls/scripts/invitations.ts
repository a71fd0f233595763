// Calls of InvitationService by the user who owns the organization, an API key, and the invited people.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import type { SessionId, UserId } from "@muster/core";
import { userText } from "@muster/testkit/module";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

const PASSWORD = "correct horse battery staple";
const anonymous = { anonymous: true };
const ada = { key: "ada" };
/** The session of Bo, which the database does not contain. */
const SESSION_ID = "01900000-0000-7000-8000-00000000b000" as SessionId;
const bo = { key: "bo" };

async function invitations(calls: Recorder): Promise<void> {
  await creation(calls);
  const { listInvitations, resendInvitation, deleteInvitation } = InvitationService.method;
  const first = await calls.ok(listInvitations, { pageSize: 1 }, ada);
  await calls.ok(listInvitations, { pageSize: 1, pageToken: first.nextPageToken });
  await calls.refused(listInvitations, {}, { key: "reader" });
  const [invitation] = first.invitations;
  const invitationId = invitation?.id ?? "";
  await calls.refused(resendInvitation, { invitationId });
  await calls.ok(resendInvitation, { invitationId }, { ...ada, idempotencyKey: "resend" });
  await calls.refused(resendInvitation, { invitationId: UNKNOWN_ID }, ada);
  await calls.ok(deleteInvitation, { invitationId }, ada);
  await calls.refused(deleteInvitation, { invitationId }, ada);
  await acceptance(calls);
}

async function creation(calls: Recorder): Promise<void> {
  const { createInvitation } = InvitationService.method;
  const request = { email: "Cy@example.com", role: Role.AUDITOR, name: "Cy" };
  await calls.ok(createInvitation, request, { ...ada, idempotencyKey: "invite" });
  await calls.ok(createInvitation, request, { ...ada, idempotencyKey: "invite" });
  await calls.refused(createInvitation, { ...request, email: "cy@EXAMPLE.com" }, ada);
  await calls.refused(createInvitation, { ...request, email: calls.ownerEmail }, ada);
  await calls.refused(createInvitation, { ...request, email: "di@example.com", role: Role.ADMIN });
  await calls.refused(createInvitation, { ...request, email: "nobody" }, ada);
  await calls.ok(createInvitation, { email: "di@example.com", role: Role.MEMBER });
}

async function acceptance(calls: Recorder): Promise<void> {
  const { createInvitation, acceptInvitation } = InvitationService.method;
  const { register, verifyEmail } = AccountService.method;
  const email = "bo.invited@example.com";
  const { invitation } = await calls.ok(createInvitation, { email, role: Role.ADMIN }, ada);
  const token = await calls.mailToken(email);
  await calls.refused(acceptInvitation, { token }, ada);
  await calls.ok(register, { email, password: PASSWORD, name: "Bo" }, anonymous);
  await calls.ok(verifyEmail, { token: await calls.mailToken(email) }, anonymous);
  calls.addKey("bo", userText({ id: (invitation?.userId ?? "") as UserId, sessionId: SESSION_ID }));
  await calls.ok(acceptInvitation, { token }, { ...bo, idempotencyKey: "accept" });
  await calls.refused(acceptInvitation, { token }, bo);
  await calls.refused(acceptInvitation, { token });
}

export const invitationScripts: readonly Script[] = [{ service: InvitationService, run: invitations }];
