// Completes a login once every factor was checked: opens a session, counts the login, and records it.
import { create } from "@bufbuild/protobuf";
import { LoginMethod, LoginRecordedSchema } from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { type AccountTokens, AccountTokensSchema } from "@muster/contracts/muster/identity/v1/user_pb";
import { type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";
import { type DomainEvent, domainEvent, type Write } from "@muster/outbox";
import type { ClientInfo } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { recordLogin } from "../memberships/membership-store.ts";
import { openSession } from "../sessions/open-session.ts";
import type { AuthenticationMethod } from "../sessions/session.ts";
import type { User } from "../users/user.ts";
import { setLastOrganization } from "../users/user-store.ts";
import { chooseOrganization } from "./choose-organization.ts";
import { hasKnownDevice, issueDeviceToken, type KnownDevice } from "./known-device-store.ts";

export interface CompletedLogin {
  /** Locked by the caller. */
  readonly user: User;
  /** In the order of use. */
  readonly methods: readonly AuthenticationMethod[];
  /** The known device that signs in, if any. */
  readonly device?: KnownDevice | undefined;
  readonly client: ClientInfo;
  readonly nowMs: number;
}

export async function completeLogin(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  { user, methods, device, client, nowMs }: CompletedLogin,
): Promise<AccountTokens> {
  const organizationId = await chooseOrganization(trx, user);
  const isEntered = methods.some((method) => method !== "magic_link");
  const authenticatedTimeMs = isEntered ? nowMs : undefined;
  const session = { userId: user.id, organizationId, methods, authenticatedTimeMs, client, nowMs };
  const tokens = await openSession(deps, trx, session);
  if (organizationId !== undefined) {
    await recordLogin(trx, organizationId, user.id, nowMs);
    await setLastOrganization(trx, user.id, organizationId);
    const method = methods[0] === "magic_link" ? LoginMethod.MAGIC_LINK : LoginMethod.PASSWORD;
    write.publish(loginRecorded(deps, { organizationId, userId: user.id, method, nowMs }));
  }
  await insertActivity(trx, deps, { userId: user.id, kind: "login", timeMs: nowMs, client });
  if (device === undefined && isPasswordAlone(methods)) {
    await mailNewDevice(deps, trx, write, { user, client, nowMs });
  }
  const deviceToken = await issueDeviceToken(trx, deps, { userId: user.id, device, nowMs });
  return create(AccountTokensSchema, { ...tokens, deviceToken });
}

/** The event of a login or a switch to an organization. */
export function loginRecorded(
  { ids }: Pick<IdentityDeps, "ids">,
  login: {
    readonly organizationId: OrganizationId;
    readonly userId: UserId;
    readonly method: LoginMethod;
    readonly nowMs: number;
  },
): DomainEvent {
  const { organizationId, userId, method, nowMs } = login;
  return domainEvent(
    LoginRecordedSchema,
    { organizationId, resourceId: userId },
    {
      organizationId: uuidToBytes(organizationId),
      loginId: uuidToBytes(ids.next(nowMs)),
      userId: uuidToBytes(userId),
      method,
      timeMs: BigInt(nowMs),
    },
  );
}

/** Other logins prove more than a password that a thief may have. */
function isPasswordAlone(methods: readonly AuthenticationMethod[]): boolean {
  return methods.length === 1 && methods[0] === "password";
}

/** The first login of an account has no device to compare with. */
async function mailNewDevice(
  { mailer }: IdentityDeps,
  trx: Transaction,
  write: Write,
  { user, client, nowMs }: Pick<CompletedLogin, "user" | "client" | "nowMs">,
): Promise<void> {
  if (!(await hasKnownDevice(trx, user.id))) return;
  await mailer.queue(trx, {
    to: user.email,
    kind: "new_device",
    locale: user.locale,
    values: {
      name: user.name,
      time: new Date(nowMs).toISOString(),
      client: client.userAgent,
      address: client.address,
    },
  });
  write.afterCommit(() => mailer.wake());
}
