// Calls of UserService by the user who owns the organization and by API keys.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

const ada = { key: "ada" };
const ANY = "*";

async function users(calls: Recorder): Promise<void> {
  const { me } = await calls.ok(AccountService.method.getMe, {}, ada);
  const userId = me?.id ?? "";
  await reads(calls, userId);
  await updates(calls, userId);
  await ends(calls, userId);
  await invitations(calls);
}

async function reads(calls: Recorder, userId: string): Promise<void> {
  const { getUser, listUsers } = UserService.method;
  await calls.ok(getUser, { userId });
  await calls.ok(getUser, { userId }, ada);
  await calls.refused(getUser, { userId }, { key: "reader" });
  await calls.refused(getUser, { userId: UNKNOWN_ID });
  await calls.refused(getUser, { userId: "nobody" });
  await calls.ok(listUsers, {
    filter: "name==AD*;role==owner",
    sort: "-last_login_at,name",
    include: ["orgs"],
  });
  await calls.ok(listUsers, { q: "ada exam", fields: { paths: ["id", "name"] } }, ada);
  await calls.ok(listUsers, { filter: "status==suspended" });
  await calls.refused(listUsers, { filter: "name=='x';drop" });
  await calls.refused(listUsers, { sort: "password_hash" });
  await calls.refused(listUsers, { pageToken: "garbled" });
}

async function invitations(calls: Recorder): Promise<void> {
  const { createUser, getUser, listUsers } = UserService.method;
  const request = { email: "Bo@example.com", name: "Bo", role: Role.ADMIN };
  const { user } = await calls.ok(createUser, request, { ...ada, idempotencyKey: "invite" });
  await calls.ok(createUser, request, { ...ada, idempotencyKey: "invite" });
  await calls.ok(getUser, { userId: user?.id ?? "" });
  await calls.ok(listUsers, { filter: "email==bo@*;status==invited" });
  await calls.refused(createUser, request, ada);
  await calls.refused(createUser, { ...request, email: calls.ownerEmail }, ada);
  await calls.refused(createUser, { ...request, email: "cy@example.com" });
  await calls.refused(createUser, { ...request, name: "two\nlines" }, ada);
}

async function updates(calls: Recorder, userId: string): Promise<void> {
  const { updateUser } = UserService.method;
  await calls.refused(updateUser, { userId, user: { name: "Ada L." } }, ada);
  await calls.refused(updateUser, { userId, user: { name: "Ada L.", version: 7n } }, ada);
  await calls.refused(updateUser, { userId, user: { name: "Ada L." }, ifMatch: '"7-x"' }, ada);
  await calls.ok(updateUser, { userId, user: { name: "Ada L.", version: 1n } }, ada);
  await calls.refused(updateUser, { userId, user: { name: "By a key" }, ifMatch: ANY });
  await calls.refused(updateUser, { userId, user: { role: Role.ADMIN }, ifMatch: ANY }, ada);
  await calls.refused(updateUser, { userId, updateMask: { paths: ["name"] }, ifMatch: ANY }, ada);
}

/** The owner is the only member, so that every end is refused. services/identity/tests/members tests the others. */
async function ends(calls: Recorder, userId: string): Promise<void> {
  const { suspendUser, reinstateUser, deleteUser, restoreUser, revokeUserSessions, leaveOrganization } =
    UserService.method;
  await calls.refused(suspendUser, { userId }, ada);
  await calls.refused(suspendUser, { userId });
  await calls.ok(reinstateUser, { userId }, ada);
  await calls.refused(deleteUser, { userId }, ada);
  await calls.refused(deleteUser, { userId: UNKNOWN_ID }, ada);
  await calls.refused(restoreUser, { userId }, ada);
  await calls.refused(restoreUser, { userId: UNKNOWN_ID }, ada);
  await calls.ok(revokeUserSessions, { userId }, ada);
  await calls.refused(leaveOrganization, {}, ada);
  await calls.refused(leaveOrganization, {});
}

export const userScripts: readonly Script[] = [{ service: UserService, run: users }];
