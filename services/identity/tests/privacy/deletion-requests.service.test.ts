// Tests deletion requests: permissions, decisions, erasures, receipts, races and crashes.
import { createHash } from "node:crypto";
import { DeletionRequestState } from "@muster/contracts/muster/identity/v1/deletion_request_pb";
import { DeletionRequestService } from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { OperationState } from "@muster/contracts/muster/identity/v1/operation_pb";
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import {
  type ApiKeyId,
  type OrganizationId,
  randomIds,
  shardOf,
  type UserId,
  uuidToBytes,
} from "@muster/core";
import { columnsOf, ENGINES, waitFor } from "@muster/testkit";
import { type CallAs, expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { insertApiKey } from "../../src/api-keys/api-key-store.ts";
import { insertLogins } from "../../src/login-counts/login-event-store.ts";
import { dayOf } from "../../src/login-counts/login-window.ts";
import { setLastOrganization } from "../../src/users/user-store.ts";
import { type Member, PrivacyUnderTest } from "./privacy-under-test.ts";

const { createDeletionRequest, listDeletionRequests, approveDeletionRequest, rejectDeletionRequest } =
  DeletionRequestService.method;
const { getOperation } = OperationService.method;
const { deleteUser, restoreUser } = UserService.method;

describe.each(ENGINES)("deletion requests on %s", (engine) => {
  let identity: PrivacyUnderTest;

  beforeAll(async () => {
    identity = await PrivacyUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  /** An organization with two owners, and a member with a second organization. */
  async function company() {
    const acme = await identity.organization();
    const globex = await identity.organization();
    const owner = await identity.member(acme, "owner");
    const other = await identity.member(acme, "owner");
    const ada = await identity.member(acme);
    await identity.join(ada.userId, globex, "member", "Ada");
    return { acme, globex, owner, other, ada };
  }

  async function requested(userId: UserId, as: CallAs): Promise<string> {
    const { deletionRequest } = await identity.call(createDeletionRequest, { userId }, as);
    return deletionRequest?.id ?? "";
  }

  const approve = (deletionRequestId: string, as: CallAs) =>
    identity.call(approveDeletionRequest, { deletionRequestId }, as);
  const reject = (deletionRequestId: string, as: CallAs) =>
    identity.call(rejectDeletionRequest, { deletionRequestId }, as);

  async function erased(operationId: string, as: CallAs) {
    await waitFor(async () => {
      await identity.clock.advance(1_000);
      identity.clock.setNowMs(identity.clock.nowMs() + 1_000);
      const { operation } = await identity.call(getOperation, { operationId }, as);
      return operation?.state === OperationState.SUCCEEDED;
    });
    const { deletionRequests } = await identity.call(listDeletionRequests, {}, as);
    return deletionRequests.find(({ id }) => id === operationId);
  }

  async function addLogins({ userId }: Member, organizationId: OrganizationId, count: number): Promise<void> {
    const timeMs = identity.clock.nowMs();
    const login = {
      organizationId,
      userId,
      day: dayOf(timeMs),
      shard: shardOf(organizationId, userId),
      timeMs,
    };
    await identity.database.transaction(async (trx) => {
      const logins = Array.from({ length: count }, (_, index) => ({
        ...login,
        loginId: randomIds.next(timeMs),
        position: index - count,
      }));
      await insertLogins(trx, logins);
    });
  }

  /** The tables with rows about the person in the organization. */
  async function tablesOf(organizationId: OrganizationId, userId: UserId): Promise<string[]> {
    const columns = await columnsOf(identity.database);
    const tables = [...columns.keys()].filter((table) =>
      ["organization_id", "user_id"].every((name) => columns.get(table)?.includes(name)),
    );
    const found: string[] = [];
    const keys = { organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) };
    for (const table of tables) {
      if ((await identity.database.reader(table).where(keys)).length > 0) found.push(table);
    }
    return found.sort();
  }

  test("an approval erases the data of this organization about the person, and leaves a receipt", async () => {
    const { acme, globex, owner, ada } = await company();
    for (const organizationId of [acme, globex]) {
      await identity.addSessions(ada.userId, organizationId, ["phone", "desk"]);
      await addLogins(ada, organizationId, 501);
    }
    await identity.exported(ada.userId, ada.as);
    await identity.database.transaction((trx) => setLastOrganization(trx, ada.userId, acme));
    const before = await tablesOf(acme, ada.userId);
    expect(before).toEqual(expect.arrayContaining(["exports", "login_events", "memberships", "sessions"]));
    const elsewhere = await tablesOf(globex, ada.userId);
    const id = await requested(ada.userId, ada.as);
    const { operation } = await approve(id, owner.as);
    expect(operation).toMatchObject({ id, kind: "user_erasure", state: OperationState.PENDING });
    const receipt = await erased(id, owner.as);
    expect(receipt).toMatchObject({
      userId: ada.userId,
      state: DeletionRequestState.APPROVED,
      requesterId: ada.userId,
      deciderId: owner.userId,
    });
    expect(receipt?.completeTime).toBeDefined();
    expect(receipt?.locations.map(({ location, count }) => [location, Number(count)])).toEqual([
      ["identity.exports", 1],
      ["identity.login_events", 501],
      ["identity.memberships", 1],
      ["identity.sessions", 2],
    ]);
    expect(await tablesOf(acme, ada.userId)).toEqual(["deletion_requests"]);
    expect(await tablesOf(globex, ada.userId)).toEqual(elsewhere);
    const [user] = await identity.database.reader("users").where("id", uuidToBytes(ada.userId));
    expect(user).toMatchObject({ last_organization_id: null });
    // A repeat returns the same operation, also after its row was deleted.
    expect((await approve(id, owner.as)).operation).toMatchObject({ id, state: OperationState.SUCCEEDED });
    await identity.database.transaction((trx) => trx("operations").where("id", uuidToBytes(id)).delete());
    expect((await approve(id, owner.as)).operation).toMatchObject({ id, state: OperationState.SUCCEEDED });
    await expectReason(reject(id, owner.as), "DELETION_REQUEST_DECIDED");
  });

  test("the account goes with the only membership, but not with an invitation", async () => {
    const { acme, owner, other } = await company();
    const ben = await identity.member(acme, "member", "Ben");
    const id = await requested(ben.userId, owner.as);
    await approve(id, other.as);
    const [later] = await identity.database
      .reader("operations")
      .where({ kind: Buffer.from("account_erasure"), requester_id: Buffer.from(ben.userId) });
    // The receipt of the organization counts its rows first.
    expect(later.due_time_ms - later.create_time_ms).toBe(60_000);
    await erased(id, other.as);
    const users = identity.database.reader("users");
    expect(await users.clone().where("id", uuidToBytes(ben.userId))).toEqual([]);
    const invited = await identity.person("Cy");
    await identity.join(invited, acme, "member", "Cy");
    await identity.database.transaction((trx) =>
      trx("memberships")
        .where("user_id", uuidToBytes(invited))
        .update({ status: Buffer.from("invited") }),
    );
    const second = await requested(invited, owner.as);
    await approve(second, other.as);
    await erased(second, other.as);
    expect(await users.clone().where("id", uuidToBytes(invited))).toHaveLength(1);
  });

  test("the requester never approves alone, and ranks count", async () => {
    const { acme, owner, other, ada } = await company();
    const admin = await identity.member(acme, "admin");
    await expectReason(requested(ada.userId, (await identity.member(acme)).as), "PERMISSION_DENIED");
    const id = await requested(ada.userId, owner.as);
    await expectReason(approve(id, owner.as), "SELF_APPROVAL");
    await expectReason(approve(id, ada.as), "PERMISSION_DENIED");
    expect(await requested(ada.userId, admin.as)).toBe(id);
    await expectReason(approve(id, owner.as), "SELF_APPROVAL");
    // The person joins in, so that two have agreed.
    expect(await requested(ada.userId, ada.as)).toBe(id);
    await approve(id, owner.as);
    const key = { organizationId: acme, scopes: ["users.update", "users.delete"] };
    const ofKey = await requested((await identity.member(acme)).userId, key);
    await expectReason(approve(ofKey, key), "SELF_APPROVAL");
    const ofOwner = await requested(other.userId, owner.as);
    await expectReason(approve(ofOwner, admin.as), "PERMISSION_DENIED");
    const ofAdmin = await requested(admin.userId, admin.as);
    await expectReason(approve(ofAdmin, admin.as), "SELF_APPROVAL");
  });

  test("a user and a key that the user made count as one requester", async () => {
    const { acme, owner, other, ada } = await company();
    const id = acme as string as ApiKeyId;
    const scopes = ["users.update", "users.delete"];
    const made = {
      id,
      organizationId: acme,
      name: "key",
      prefix: "mk_",
      hash: createHash("sha256").update(id).digest(),
      scopes,
      createTimeMs: 1,
      expireTimeMs: undefined,
      isRotated: false,
      grantUpTo: undefined,
      createdBy: owner.userId,
      lastUsedTimeMs: undefined,
    };
    await identity.database.transaction((trx) => insertApiKey(trx, made));
    const key = { organizationId: acme, scopes };
    const ofKey = await requested(ada.userId, key);
    await expectReason(approve(ofKey, owner.as), "SELF_APPROVAL");
    await reject(ofKey, owner.as);
    const ofOwner = await requested(ada.userId, owner.as);
    await expectReason(approve(ofOwner, key), "SELF_APPROVAL");
    await approve(ofOwner, other.as);
  });

  test("the last owner stays, also when the other owner left since the request", async () => {
    const { owner, other } = await company();
    const id = await requested(other.userId, other.as);
    const second = await requested(owner.userId, owner.as);
    const results = await Promise.allSettled([approve(id, owner.as), approve(second, other.as)]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const remaining = results[0].status === "fulfilled" ? owner : other;
    await expectReason(requested(remaining.userId, remaining.as), "LAST_OWNER");
  });

  test("two approvals at once erase once, and an approval after a rejection is refused", async () => {
    const { owner, other, ada } = await company();
    const id = await requested(ada.userId, ada.as);
    const both = await Promise.all([approve(id, owner.as), approve(id, other.as)]);
    expect(both.map(({ operation }) => operation?.id)).toEqual([id, id]);
    const events: { data: Buffer }[] = await identity.database
      .reader("outbox_messages")
      .select("data")
      .where("type", Buffer.from("muster.identity.user.deleted.v1"));
    expect(events.filter(({ data }) => data.includes(uuidToBytes(ada.userId)))).toHaveLength(1);
    const { owner: boss, ada: ben } = await company();
    const rejected = await requested(ben.userId, ben.as);
    const first = await reject(rejected, boss.as);
    expect(first.deletionRequest).toMatchObject({ state: DeletionRequestState.REJECTED });
    expect(await reject(rejected, boss.as)).toEqual(first);
    await expectReason(approve(rejected, boss.as), "DELETION_REQUEST_DECIDED");
    expect(await requested(ben.userId, ben.as)).not.toBe(rejected);
  });

  test("a removed member is erased too, and cannot be restored", async () => {
    const { acme, owner, ada } = await company();
    const id = await requested(ada.userId, ada.as);
    await identity.call(deleteUser, { userId: ada.userId }, owner.as);
    await approve(id, owner.as);
    await erased(id, owner.as);
    expect(await tablesOf(acme, ada.userId)).toEqual(["deletion_requests"]);
    await expectReason(identity.call(restoreUser, { userId: ada.userId }, owner.as), "USER_NOT_FOUND");
    await expectReason(requested(ada.userId, owner.as), "USER_NOT_FOUND");
  });

  test("the person receives a mail about the request and about each decision", async () => {
    const { owner, ada } = await company();
    const email = `${ada.userId}@example.com`;
    const id = await requested(ada.userId, ada.as);
    await requested(ada.userId, ada.as);
    expect((await identity.mails.next(email)).subject).toBe("Your data may be erased");
    await reject(id, owner.as);
    expect((await identity.mails.next(email)).subject).toBe("Your data stays");
    const second = await requested(ada.userId, ada.as);
    expect((await identity.mails.next(email)).subject).toBe("Your data may be erased");
    await approve(second, owner.as);
    expect((await identity.mails.next(email)).subject).toBe("Your data is being erased");
  });

  test("requests and persons of another organization are not found", async () => {
    const { ada, owner } = await company();
    const { owner: stranger } = await company();
    const id = await requested(ada.userId, ada.as);
    await expectReason(requested(ada.userId, stranger.as), "USER_NOT_FOUND");
    await expectReason(requested("nobody" as UserId, stranger.as), "USER_NOT_FOUND");
    for (const decide of [approve, reject]) {
      await expectReason(decide(id, stranger.as), "DELETION_REQUEST_NOT_FOUND");
      await expectReason(decide("nothing", owner.as), "DELETION_REQUEST_NOT_FOUND");
    }
    expect((await identity.call(listDeletionRequests, {}, stranger.as)).deletionRequests).toEqual([]);
    const page = await identity.call(listDeletionRequests, { pageSize: 1 }, owner.as);
    expect(page.deletionRequests.map((one) => one.id)).toEqual([id]);
    for (const pageToken of ["garbled", page.nextPageToken].filter((token) => token !== "")) {
      await expectReason(
        identity.call(listDeletionRequests, { pageToken }, stranger.as),
        "PAGE_TOKEN_INVALID",
      );
    }
  });

  test("the list goes through requests of one instant without gaps or repeats", async () => {
    const { acme, owner } = await company();
    const ids: string[] = [];
    for (let count = 0; count < 5; count += 1) {
      ids.push(await requested((await identity.member(acme)).userId, owner.as));
    }
    const walked: string[] = [];
    let pageToken = "";
    do {
      const page = await identity.call(listDeletionRequests, { pageSize: 2, pageToken }, owner.as);
      walked.push(...page.deletionRequests.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(walked).toHaveLength(5);
    expect([...walked].sort()).toEqual([...ids].sort());
  });

  test("a crash at any step of the erasure leaves the whole receipt", async () => {
    for (let step = 0; step < 9; step += 1) {
      for (const crash of ["before", "after", "conflict"] as const) {
        const { acme, owner, ada } = await company();
        await identity.addSessions(ada.userId, acme, ["phone"]);
        await addLogins(ada, acme, 1);
        const id = await requested(ada.userId, ada.as);
        await approve(id, owner.as);
        identity.crashing.crashes = [...Array.from({ length: step }, () => "no" as const), crash];
        const receipt = await erased(id, owner.as);
        identity.crashing.crashes = [];
        expect(receipt?.locations.map(({ count }) => Number(count))).toEqual([0, 1, 1, 1]);
        expect(await tablesOf(acme, ada.userId)).toEqual(["deletion_requests"]);
      }
    }
  }, 90_000);

  // The last test, because the consumer reads the shard no more.
  test("the erasure waits for the consumer of logins, which could otherwise store a late login", async () => {
    const { acme, owner, ada } = await company();
    const shard = shardOf(acme, ada.userId);
    await addLogins(ada, acme, 1);
    const id = await requested(ada.userId, ada.as);
    // A position without a message, behind which the consumer cannot read.
    await identity.database.transaction((trx) =>
      trx("shard_positions").where({ shard }).increment("position", 1_000),
    );
    await approve(id, owner.as);
    const operation = await waitFor(async () => {
      const [row] = await identity.database.reader("operations").where("id", uuidToBytes(id));
      return row?.state === 1 && row.fencing_token > 0 && row;
    });
    for (let second = 0; second < 10; second += 1) await identity.clock.advance(1_000);
    expect(await tablesOf(acme, ada.userId)).toContain("login_events");
    expect(operation.failures).toBe(0);
    const [{ position }] = await identity.database.reader("shard_positions").where({ shard });
    await identity.database.transaction((trx) => trx("shard_cursors").where({ shard }).update({ position }));
    await erased(id, owner.as);
    expect(await tablesOf(acme, ada.userId)).toEqual(["deletion_requests"]);
  });
});
