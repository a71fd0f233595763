// Calls of AccountService: a registration, and the account of the user who owns the organization.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import type { Script } from "./script.ts";

const PASSWORD = "correct horse battery staple";
const NEW_PASSWORD = "four other words of it";
const NO_TOKEN = "A".repeat(43);
const anonymous = { anonymous: true };
const ada = { key: "ada" };

async function accounts(calls: Recorder): Promise<void> {
  await registration(calls);
  await passwords(calls);
  await ownAccount(calls);
  await addresses(calls);
}

async function registration(calls: Recorder): Promise<void> {
  const { register, resendVerification, verifyEmail } = AccountService.method;
  const email = "Bo@example.com";
  const request = { email, password: PASSWORD, name: "Bo", organizationName: "Initech" };
  await calls.ok(register, request, { ...anonymous, idempotencyKey: "register" });
  await calls.ok(register, request, { ...anonymous, idempotencyKey: "register" });
  await calls.refused(register, { ...request, email: "bo" }, anonymous);
  await calls.refused(register, { ...request, password: "short" }, anonymous);
  await calls.refused(register, { ...request, name: "Bo\nBo" }, anonymous);
  await calls.ok(resendVerification, { email: "bo@EXAMPLE.com" }, anonymous);
  const token = await calls.mailToken(email);
  await calls.ok(verifyEmail, { token }, anonymous);
  await calls.refused(verifyEmail, { token }, anonymous);
  await calls.ok(register, { ...request, name: "Mallory" }, anonymous);
  await calls.ok(resendVerification, { email }, anonymous);
}

async function passwords(calls: Recorder): Promise<void> {
  const { changePassword, forgotPassword, resetPassword } = AccountService.method;
  await calls.ok(forgotPassword, { email: "nobody@example.com" }, anonymous);
  await calls.ok(forgotPassword, { email: calls.ownerEmail }, anonymous);
  const token = await calls.mailToken(calls.ownerEmail);
  await calls.refused(resetPassword, { token, password: "short" }, anonymous);
  await calls.refused(resetPassword, { token: NO_TOKEN, password: PASSWORD }, anonymous);
  await calls.ok(resetPassword, { token, password: PASSWORD }, anonymous);
  await calls.refused(changePassword, { currentPassword: "wrong", password: NEW_PASSWORD }, ada);
  await calls.ok(changePassword, { currentPassword: PASSWORD, password: NEW_PASSWORD }, ada);
  await calls.refused(changePassword, { currentPassword: NEW_PASSWORD, password: PASSWORD });
}

async function ownAccount(calls: Recorder): Promise<void> {
  const { getMe, listActivities, updateMe } = AccountService.method;
  await calls.ok(updateMe, { me: { name: "Ada Lovelace", locale: "fr" } }, ada);
  await calls.refused(updateMe, { me: {}, updateMask: { paths: ["name"] } }, ada);
  await calls.refused(updateMe, { me: { locale: "tlh" } }, ada);
  await calls.ok(getMe, {}, ada);
  await calls.refused(getMe, {});
  await calls.refused(getMe, {}, anonymous);
  const { nextPageToken } = await calls.ok(listActivities, { pageSize: 2 }, ada);
  await calls.ok(listActivities, { pageSize: 2, pageToken: nextPageToken }, ada);
  await calls.refused(listActivities, { pageToken: "bm9uc2Vuc2U" }, ada);
}

async function addresses(calls: Recorder): Promise<void> {
  const { changeEmail, confirmEmailChange, undoEmailChange } = AccountService.method;
  const email = "ada@moved.example";
  await calls.refused(changeEmail, { email: "no address" }, ada);
  await calls.ok(changeEmail, { email: "bo@example.com" }, ada);
  await calls.ok(changeEmail, { email }, ada);
  const token = await calls.mailToken(email);
  await calls.ok(confirmEmailChange, { token }, anonymous);
  await calls.refused(confirmEmailChange, { token }, anonymous);
  await calls.ok(undoEmailChange, { token: await calls.mailToken(calls.ownerEmail) }, anonymous);
  await calls.refused(undoEmailChange, { token: NO_TOKEN }, anonymous);
}

export const accountScripts: readonly Script[] = [{ service: AccountService, run: accounts }];
