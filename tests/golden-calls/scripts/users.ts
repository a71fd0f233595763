// Calls of UserService by the user who owns the organization and by API keys.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

const ada = { key: "ada" };

async function users(calls: Recorder): Promise<void> {
  const { getUser, listUsers } = UserService.method;
  const { me } = await calls.ok(AccountService.method.getMe, {}, ada);
  const userId = me?.id ?? "";
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

export const userScripts: readonly Script[] = [{ service: UserService, run: users }];
