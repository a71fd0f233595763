// Tests registration and the account of a person over REST, Connect and gRPC, with the mails of the installation.
import {
  create,
  type DescMethodUnary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import { type GrpcCaller, grpcCaller } from "@muster/rpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { Mailbox } from "../harness/mailbox.ts";
import { RestClient } from "../harness/rest.ts";

const account = AccountService.method;
const { login } = SessionService.method;
const { createInvitation, listInvitations, deleteInvitation, acceptInvitation } = InvitationService.method;
const PASSWORD = "correct horse battery staple";
const NEW_PASSWORD = "four other words of it";

/** Verb, path, status, and the field of the response that the body is. */
const ROUTES = new Map<DescMethodUnary, readonly [string, string, number, string?]>([
  [account.register, ["POST", "/v1/register", 202]],
  [account.verifyEmail, ["POST", "/v1/verify-email", 200]],
  [account.resendVerification, ["POST", "/v1/verify-email:resend", 202]],
  [account.forgotPassword, ["POST", "/v1/password:forgot", 202]],
  [account.resetPassword, ["POST", "/v1/password:reset", 200]],
  [account.changePassword, ["POST", "/v1/password:change", 204]],
  [account.getMe, ["GET", "/v1/me", 200, "me"]],
  [account.changeEmail, ["POST", "/v1/me/email", 202]],
  [account.confirmEmailChange, ["POST", "/v1/me/email:confirm", 200]],
  [account.undoEmailChange, ["POST", "/v1/me/email:undo", 200]],
  [account.listActivities, ["GET", "/v1/me/activity", 200]],
  [login, ["POST", "/v1/login", 200, "tokens"]],
  [createInvitation, ["POST", "/v1/invitations", 201, "invitation"]],
  [listInvitations, ["GET", "/v1/invitations", 200]],
  [deleteInvitation, ["DELETE", "/v1/invitations/{invitation_id}", 204]],
  [acceptInvitation, ["POST", "/v1/invitations:accept", 200, "organization"]],
]);

type Call = <M extends DescMethodUnary>(
  method: M,
  request: MessageInitShape<M["input"]>,
  accessToken?: string,
) => Promise<MessageShape<M["output"]>>;

describe.each(["REST", "Connect", "gRPC"] as const)("accounts over %s", (mount) => {
  let installation: Installation;
  let mails: Mailbox;
  let grpc: GrpcCaller;
  let call: Call;

  beforeAll(async () => {
    installation = await startInstallation("embedded");
    mails = Mailbox.of(installation);
    grpc = grpcCaller({ address: installation.eventsAddress });
    call = { REST: overRest, Connect: overConnect, gRPC: overGrpc }[mount]();
  }, 60_000);
  afterAll(async () => {
    grpc?.close();
    await installation?.stop();
  });

  function overRest(): Call {
    const rest = new RestClient(installation);
    return async (method, request, accessToken) => {
      const [verb, path, status, field] = ROUTES.get(method) ?? ["", "", 0];
      const json = toJson(method.input, create(method.input, request), { useProtoFieldName: true });
      const fields = json as Record<string, string>;
      const url = path.replace(/\{(\w+)\}/, (_, name: string) => fields[name] ?? "");
      const authorization = `Bearer ${accessToken ?? "an expired token"}`;
      const response = await rest.request(verb, url, verb === "POST" ? json : undefined, { authorization });
      if (response.status >= 400) throw new Error(response.body.reason);
      expect([path, response.status]).toEqual([path, status]);
      const body: JsonValue = JSON.parse(response.text || "{}", protoEnum);
      const whole: JsonObject = field === undefined ? (body as JsonObject) : { [field]: body };
      return fromJson(method.output, whole) as never;
    };
  }

  function overConnect(): Call {
    const transport = createConnectTransport({ baseUrl: installation.url });
    return async (method, request, accessToken) => {
      const headers = { authorization: `Bearer ${accessToken ?? "an expired token"}` };
      try {
        const { message } = await transport.unary(method, undefined, undefined, headers, request);
        return message as never;
      } catch (error) {
        throw new Error(reasonOf(error));
      }
    };
  }

  function overGrpc(): Call {
    return async (method, request, accessToken) => {
      const headers = new Map([["authorization", `Bearer ${accessToken ?? "an expired token"}`]]);
      const { signal } = new AbortController();
      try {
        const { message } = await grpc.unary(method, create(method.input, request), { headers, signal });
        return message as never;
      } catch (error) {
        throw new Error((error as { readonly reason: string }).reason);
      }
    };
  }

  async function accessToken(email: string, password: string): Promise<string> {
    return (await call(login, { email, password })).tokens?.accessToken ?? "";
  }

  test("from the registration to the last change", { timeout: 120_000 }, async () => {
    const [email, moved] = ["Ada@example.com", "ada@moved.example"];
    await call(account.register, { email, password: PASSWORD, name: "Ada", organizationName: "Acme" });
    await mails.nextToken(email);
    await call(account.resendVerification, { email });
    await expect(accessToken(email, PASSWORD)).rejects.toThrow("EMAIL_NOT_VERIFIED");
    await call(account.verifyEmail, { token: await mails.nextToken(email) });

    const first = await accessToken(email, PASSWORD);
    const { me } = await call(account.getMe, {}, first);
    expect(me).toMatchObject({ email, name: "Ada", organizations: [{ name: "Acme", role: 1 }] });
    const change = { currentPassword: PASSWORD, password: NEW_PASSWORD };
    await call(account.changePassword, change, first);
    expect((await mails.next(email)).subject).toBe("Your password was changed");
    await call(account.changeEmail, { email: moved }, first);
    // Each mail is awaited before the next call, because two on their way arrive in any order.
    await mails.nextToken(email);
    await call(account.confirmEmailChange, { token: await mails.nextToken(moved) });
    expect((await call(account.getMe, {}, first)).me?.email).toBe(moved);

    await call(account.undoEmailChange, { token: await mails.nextToken(email) });
    await expect(call(account.getMe, {}, first)).rejects.toThrow("SESSION_ENDED");
    await expect(accessToken(email, NEW_PASSWORD)).rejects.toThrow("PASSWORD_RESET_REQUIRED");
    await mails.nextToken(email);
    await call(account.forgotPassword, { email: "ADA@EXAMPLE.COM" });
    await call(account.resetPassword, { token: await mails.nextToken(email), password: PASSWORD });
    const { activities } = await call(account.listActivities, {}, await accessToken(email, PASSWORD));
    expect(activities.map(({ kind }) => kind)).toEqual([
      "login",
      "password_reset",
      "email_change_undone",
      "email_changed",
      "email_change_requested",
      "password_changed",
      "login",
      "email_verified",
    ]);
    await expect(call(account.verifyEmail, { token: "none" })).rejects.toThrow("TOKEN_INVALID");
  });

  async function signedUp(email: string, organizationName?: string): Promise<string> {
    await call(account.register, { email, password: PASSWORD, name: "Ada", organizationName });
    await call(account.verifyEmail, { token: await mails.nextToken(email) });
    return accessToken(email, PASSWORD);
  }

  test("an invitation is made, listed, accepted or deleted", { timeout: 120_000 }, async () => {
    const [guest, other] = ["guest@example.com", "other@example.com"];
    const owner = await signedUp("owner@example.com", "Globex");
    const invited = await signedUp(guest);
    for (const email of [guest, other]) {
      const { invitation } = await call(createInvitation, { email, role: Role.MEMBER }, owner);
      expect(invitation).toMatchObject({ email, role: Role.MEMBER });
    }
    const again = call(createInvitation, { email: guest, role: Role.MEMBER }, owner);
    await expect(again).rejects.toThrow("ALREADY_INVITED");
    const { invitations } = await call(listInvitations, {}, owner);
    expect(invitations.map(({ email }) => email)).toEqual([guest, other]);
    const [own, foreign] = [await mails.nextToken(guest), await mails.nextToken(other)];
    const mismatch = call(acceptInvitation, { token: foreign }, invited);
    await expect(mismatch).rejects.toThrow("INVITATION_ADDRESS_MISMATCH");
    const { organization } = await call(acceptInvitation, { token: own }, invited);
    expect(organization).toMatchObject({ name: "Globex", role: Role.MEMBER });
    const request = { invitationId: invitations[1]?.id ?? "" };
    // A user without an organization, and then the owner twice.
    await expect(call(deleteInvitation, request, invited)).rejects.toThrow("ORGANIZATION_REQUIRED");
    await call(deleteInvitation, request, owner);
    await expect(call(deleteInvitation, request, owner)).rejects.toThrow("INVITATION_NOT_FOUND");
    expect((await call(listInvitations, {}, owner)).invitations).toEqual([]);
    await expect(call(acceptInvitation, { token: foreign }, invited)).rejects.toThrow("TOKEN_INVALID");
  });
});

/** REST shows enums in lower snake case. */
function protoEnum(key: string, value: JsonValue): JsonValue {
  return key === "role" ? `ROLE_${String(value).toUpperCase()}` : value;
}

/** The reason in the details of a Connect error. */
function reasonOf(error: unknown): string {
  const details = ConnectError.from(error).details as readonly { readonly debug?: JsonObject }[];
  return details.map(({ debug }) => String(debug?.reason ?? "")).join("");
}
