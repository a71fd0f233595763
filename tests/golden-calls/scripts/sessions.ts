// Calls of SessionService by the user who owns the organization.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

const PASSWORD = "correct horse battery staple";
const NO_TOKEN = "A".repeat(43);
const anonymous = { anonymous: true };

async function sessions(calls: Recorder): Promise<void> {
  const { forgotPassword, resetPassword } = AccountService.method;
  await calls.ok(forgotPassword, { email: calls.ownerEmail }, anonymous);
  const token = await calls.mailToken(calls.ownerEmail);
  await calls.ok(resetPassword, { token, password: PASSWORD }, anonymous);
  await logins(calls);
  await ends(calls);
}

async function logins(calls: Recorder): Promise<void> {
  const { login, refreshToken, unlockAccount } = SessionService.method;
  const request = { email: calls.ownerEmail, password: PASSWORD };
  const once = { ...anonymous, idempotencyKey: "login" };
  const { tokens } = await calls.ok(login, request, once);
  await calls.ok(login, request, once);
  await calls.refused(login, { ...request, password: "a wrong password" }, once);
  await calls.refused(login, { ...request, email: "nobody@example.com" }, anonymous);
  await calls.refused(login, { ...request, password: "x".repeat(1_025) }, anonymous);
  await calls.ok(refreshToken, { refreshToken: tokens?.refreshToken ?? "" }, anonymous);
  await calls.refused(refreshToken, { refreshToken: NO_TOKEN }, anonymous);
  await calls.refused(unlockAccount, { token: NO_TOKEN }, anonymous);
}

async function ends(calls: Recorder): Promise<void> {
  const { login, listSessions, deleteSession, revokeOtherSessions, switchOrganization, logout } =
    SessionService.method;
  const request = { email: calls.ownerEmail, password: PASSWORD };
  const { tokens } = await calls.ok(login, request, anonymous);
  calls.addKey("session", tokens?.accessToken ?? "");
  const session = { key: "session" };
  const { sessions: live } = await calls.ok(listSessions, { pageSize: 1 }, session);
  await calls.refused(listSessions, { pageToken: "bm9uc2Vuc2U" }, session);
  await calls.refused(listSessions, {});
  await calls.ok(switchOrganization, { organizationId: calls.organizationId }, session);
  await calls.refused(switchOrganization, { organizationId: UNKNOWN_ID }, session);
  await calls.refused(deleteSession, { sessionId: UNKNOWN_ID }, session);
  await calls.ok(revokeOtherSessions, {}, session);
  await calls.ok(logout, {}, session);
  await calls.refused(deleteSession, { sessionId: live[0]?.id ?? "" }, session);
  const again = await calls.ok(login, request, anonymous);
  calls.addKey("again", again.tokens?.accessToken ?? "");
  const [own] = (await calls.ok(listSessions, {}, { key: "again" })).sessions;
  await calls.ok(deleteSession, { sessionId: own?.id ?? "" }, { key: "again" });
}

export const sessionScripts: readonly Script[] = [{ service: SessionService, run: sessions }];
