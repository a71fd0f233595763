// Tests exports of personal data: content, manifest, the single download, resumption, the callers, crashes and expiry.
import { createHash } from "node:crypto";
import { OperationState } from "@muster/contracts/muster/identity/v1/operation_pb";
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { type OrganizationId, randomIds, type SessionId, type UserId, uuidToBytes } from "@muster/core";
import { type CrashingDatabase, ENGINES, type FakeClock, waitFor } from "@muster/testkit";
import { type CallAs, expectReason } from "@muster/testkit/module";
import { HTTP_IF_RANGE, HTTP_METHOD, HTTP_RANGE } from "@muster/transcoder";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CHUNK_BYTES, EXPORT_LIFETIME_MS, RESUME_MS } from "../../src/exports/export.ts";
import { expiredDataWorker } from "../accounts/expired-data.ts";
import { addPersonalRows } from "./personal-rows.ts";
import { PrivacyUnderTest } from "./privacy-under-test.ts";
import { zipEntries } from "./zip-entries.ts";

const { exportUser } = PrivacyService.method;
const { getOperation } = OperationService.method;

describe.each(ENGINES)("exports on %s", (engine) => {
  let identity: PrivacyUnderTest;
  let clock: FakeClock;
  let crashing: CrashingDatabase;

  beforeAll(async () => {
    identity = await PrivacyUnderTest.open(engine);
    ({ clock, crashing } = identity);
  });
  afterAll(() => identity.close());

  const etagOf = (zip: Buffer): string => `"${createHash("sha256").update(zip).digest("hex")}"`;

  test("a ZIP has a file for each section, and a manifest with their digests", async () => {
    const acme = await identity.organization();
    const ada = await identity.member(acme, "member", "Ada Lovelace");
    await identity.addSessions(ada.userId, acme, ["Browser of Acme"]);
    const { operation } = await identity.call(exportUser, { userId: ada.userId }, ada.as);
    expect(operation).toMatchObject({ kind: "user_export", state: OperationState.PENDING, progress: 0 });
    const token = await identity.tokenOf(operation?.id ?? "", ada.as);
    const { body, headers } = await identity.download(token, ada.as);
    const entries = zipEntries(body);
    expect([...entries.keys()].at(-1)).toBe("manifest.json");
    const manifest = JSON.parse(String(entries.get("manifest.json")));
    expect(manifest).toMatchObject({ format_version: 1, user_id: ada.userId, organization_id: acme });
    for (const { name, sha256, size, schema_version } of manifest.files) {
      const file = entries.get(name) ?? Buffer.alloc(0);
      expect({ sha256, size, schema_version }, name).toEqual({
        sha256: createHash("sha256").update(file).digest("hex"),
        size: file.length,
        schema_version: 1,
      });
    }
    expect(manifest.files.map(({ name }: { name: string }) => name)).toEqual(
      [...entries.keys()].filter((name) => name !== "manifest.json"),
    );
    const [membership] = JSON.parse(String(entries.get("membership.json")));
    expect(membership).toMatchObject({
      id: ada.userId,
      name: "Ada Lovelace",
      role: "member",
      status: "active",
    });
    const sessions = JSON.parse(String(entries.get("sessions.json")));
    expect(sessions).toMatchObject([{ client: "Browser of Acme", client_address: "192.0.2.7" }]);
    expect(headers.get("muster-http-etag")).toBe(etagOf(body));
    expect(headers.get("muster-http-content-length")).toBe(String(body.length));
    expect(await identity.mails.next(`${ada.userId}@example.com`)).toMatchObject({
      subject: "Your data export is ready",
    });
  });

  test("an export has every section, and nothing of another organization or of other people", async () => {
    const acme = await identity.organization();
    const globex = await identity.organization();
    const userId = await identity.person("Ada");
    const ofAcme = await identity.join(userId, acme, "admin", "Ada of Acme");
    await identity.join(userId, globex, "owner", "Ada of Globex");
    const grace = await identity.member(acme, "member", "Grace Hopper");
    const rowsOf = (organizationId: OrganizationId, id: UserId, mark: string) =>
      addPersonalRows(identity, { organizationId, userId: id }, mark);
    const own = await rowsOf(acme, userId, "Own");
    const others = [await rowsOf(globex, userId, "Globex"), await rowsOf(acme, grace.userId, "Grace")];
    const { body } = await identity.download(await identity.exported(userId, ofAcme.as), ofAcme.as);
    const text = body.toString("utf8");
    for (const shown of ["Ada of Acme", ...own.shown]) expect(text).toContain(shown);
    const foreign = others.flatMap(({ shown, hidden }) => [...shown, ...hidden]);
    foreign.push("Globex", globex, "Grace", grace.userId, ...own.hidden);
    for (const hidden of foreign) expect(text).not.toContain(hidden);
    const entries = zipEntries(body);
    const recordsOf = (name: string) => JSON.parse(String(entries.get(name)));
    expect(recordsOf("login_totals.json")).toEqual([{ window_days: 7, logins: 3 }]);
    expect(recordsOf("invitations.json")).toMatchObject([{ direction: "received" }, { direction: "sent" }]);
    expect(recordsOf("deletion_requests.json")).toHaveLength(3);
    for (const name of ["logins.json", "api_keys.json"]) expect(recordsOf(name).length).toBeGreaterThan(1);
  });

  test("the first download claims; HEAD does not, and a part continues for 15 minutes", async () => {
    const acme = await identity.organization();
    const ada = await identity.member(acme);
    await identity.addSessions(ada.userId, acme, Array<string>(8).fill("x".repeat(200)));
    const token = await identity.exported(ada.userId, ada.as);
    const head = await identity.download(token, ada.as, { [HTTP_METHOD]: "HEAD" });
    expect(head.body.length).toBe(0);
    await identity.download(token, ada.as, { [HTTP_METHOD]: "HEAD" });
    const whole = await identity.download(token, ada.as);
    const etag = etagOf(whole.body);
    expect(head.headers.get("muster-http-etag")).toBe(etag);
    expect(head.headers.get("muster-http-content-length")).toBe(String(whole.body.length));
    await expectReason(identity.download(token, ada.as), "EXPORT_CLAIMED");
    const range = { [HTTP_RANGE]: "bytes=100-" };
    await expectReason(identity.download(token, ada.as, range), "EXPORT_CLAIMED");
    await expectReason(
      identity.download(token, ada.as, { ...range, [HTTP_IF_RANGE]: '"stale"' }),
      "EXPORT_CLAIMED",
    );
    await expectReason(identity.download(token, ada.as, { [HTTP_IF_RANGE]: etag }), "EXPORT_CLAIMED");
    const resume = { ...range, [HTTP_IF_RANGE]: etag };
    clock.setNowMs(clock.nowMs() + RESUME_MS - 1);
    const { user } = ada.as;
    const otherSession = { user: user && { ...user, sessionId: randomIds.next<SessionId>(0) } };
    const rest = await identity.download(token, otherSession, resume);
    expect(rest.body.equals(whole.body.subarray(100))).toBe(true);
    expect(rest.headers.get("muster-http-status")).toBe("206");
    clock.setNowMs(clock.nowMs() + 1);
    await expectReason(identity.download(token, ada.as, resume), "EXPORT_CLAIMED");
    await expectReason(identity.download(token, ada.as, { [HTTP_METHOD]: "HEAD" }), "EXPORT_CLAIMED");
    await sweep();
    expect(await chunkCount(token)).toBe(0);
    await expectReason(identity.download(token, ada.as), "EXPORT_CLAIMED");
  });

  test("of two downloads at once, one gets the ZIP", async () => {
    const acme = await identity.organization();
    const ada = await identity.member(acme);
    const token = await identity.exported(ada.userId, ada.as);
    const outcomes = await Promise.allSettled([
      identity.download(token, ada.as),
      identity.download(token, ada.as),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("a large export is stored in sealed chunks of at most 256 KiB, and any range of it can be read", async () => {
    const acme = await identity.organization();
    const ada = await identity.member(acme);
    const clients = Array.from({ length: 1_500 }, (_, index) => `${index}`.padEnd(250, "y"));
    await identity.addSessions(ada.userId, acme, clients);
    const token = await identity.exported(ada.userId, ada.as);
    const { body } = await identity.download(token, ada.as);
    expect(body.length).toBeGreaterThan(2 * CHUNK_BYTES);
    expect(JSON.parse(String(zipEntries(body).get("sessions.json"))).length).toBe(1_500);
    const rows = await identity.database.reader("export_chunks").select<{ payload: Buffer }[]>("payload");
    expect(Math.max(...rows.map(({ payload }) => payload.length))).toBeLessThanOrEqual(256 * 1024);
    expect(rows.some(({ payload }) => payload.includes("y".repeat(20)))).toBe(false);
    const resume = { [HTTP_IF_RANGE]: etagOf(body) };
    for (const [from, to] of [
      [CHUNK_BYTES - 1, CHUNK_BYTES],
      [1, 2 * CHUNK_BYTES + 7],
      [2 * CHUNK_BYTES, body.length - 1],
    ] as const) {
      const part = await identity.download(token, ada.as, { ...resume, [HTTP_RANGE]: `bytes=${from}-${to}` });
      expect(part.body.equals(body.subarray(from, to + 1))).toBe(true);
    }
  }, 30_000);

  test("only the requester downloads, while allowed to request", async () => {
    const acme = await identity.organization();
    const globex = await identity.organization();
    const ada = await identity.member(acme);
    const boss = await identity.member(acme, "admin");
    const ofBoss = await identity.exported(ada.userId, boss.as);
    const key = { organizationId: acme, scopes: ["users.update"] };
    const others = [ada.as, key, { organizationId: globex }, (await identity.member(acme, "owner")).as];
    for (const as of others) await expectReason(identity.download(ofBoss, as), "EXPORT_NOT_FOUND");
    for (const token of ["", "nonsense", "x".repeat(43)]) {
      await expectReason(identity.download(token, boss.as), "EXPORT_NOT_FOUND");
    }
    // The session of the requester in another organization is a session of the requester.
    const { user } = boss.as;
    const elsewhere = { user: user && { ...user, organizationId: globex, role: undefined } };
    await identity.database.transaction(async (trx) => {
      await trx("memberships")
        .where("user_id", uuidToBytes(boss.userId))
        .update({ role: Buffer.from("member") });
    });
    await expectReason(identity.download(ofBoss, boss.as), "EXPORT_NOT_FOUND");
    await identity.database.transaction(async (trx) => {
      await trx("memberships")
        .where("user_id", uuidToBytes(boss.userId))
        .update({ role: Buffer.from("admin") });
    });
    expect((await identity.download(ofBoss, elsewhere)).body.length).toBeGreaterThan(0);
    const ofKey = await identity.exported(ada.userId, key);
    await expectReason(identity.download(ofKey, ada.as), "EXPORT_NOT_FOUND");
    expect((await identity.download(ofKey, key)).body.length).toBeGreaterThan(0);
  });

  test("a person of another organization is not found; others need the permission", async () => {
    const acme = await identity.organization();
    const globex = await identity.organization();
    const ada = await identity.member(acme);
    const call = (userId: string, as: CallAs) => identity.call(exportUser, { userId }, as);
    await expectReason(call(ada.userId, { organizationId: globex }), "USER_NOT_FOUND");
    await expectReason(call("nobody", { organizationId: acme }), "USER_NOT_FOUND");
    await expectReason(call(ada.userId, (await identity.member(acme)).as), "PERMISSION_DENIED");
    await expectReason(
      call(ada.userId, { organizationId: acme, scopes: ["users.read"] }),
      "PERMISSION_DENIED",
    );
    for (let count = 0; count < 10; count += 1) await call(ada.userId, ada.as);
    await expectReason(call(ada.userId, ada.as), "OVERLOADED");
  });

  test("a crash at any step of the building leaves a whole export, once", async () => {
    const acme = await identity.organization();
    const ada = await identity.member(acme);
    for (let step = 0; step < 8; step += 1) {
      for (const crash of ["before", "after", "conflict"] as const) {
        const { operation } = await identity.call(exportUser, { userId: ada.userId }, ada.as);
        crashing.crashes = [...Array.from({ length: step }, () => "no" as const), crash];
        const operationId = operation?.id ?? "";
        await waitFor(async () => {
          await clock.advance(1_000);
          clock.setNowMs(clock.nowMs() + 1_000);
          const read = await identity.call(getOperation, { operationId }, ada.as);
          return read.operation?.state === OperationState.SUCCEEDED;
        });
        crashing.crashes = [];
        const { body } = await identity.download(await identity.tokenOf(operationId, ada.as), ada.as);
        expect(zipEntries(body).has("manifest.json")).toBe(true);
        await identity.database.transaction(async (trx) => {
          await trx("exports").where("user_id", uuidToBytes(ada.userId)).delete();
        });
      }
    }
  }, 60_000);

  test("an export that nobody downloads is deleted after 7 days", async () => {
    const acme = await identity.organization();
    const ada = await identity.member(acme);
    const token = await identity.exported(ada.userId, ada.as);
    clock.setNowMs(clock.nowMs() + EXPORT_LIFETIME_MS);
    await expectReason(identity.download(token, ada.as), "EXPORT_NOT_FOUND");
    await sweep();
    expect(await chunkCount(token)).toBe(0);
    expect(await identity.database.reader("exports").where("user_id", uuidToBytes(ada.userId))).toEqual([]);
  });

  async function sweep(): Promise<void> {
    await expiredDataWorker(identity).sweep();
  }

  async function chunkCount(token: string): Promise<number> {
    const hash = createHash("sha256").update(token).digest();
    const ids = await identity.database.reader("exports").where("token_hash", hash).pluck<Buffer[]>("id");
    return (await identity.database.reader("export_chunks").whereIn("export_id", ids).select("number"))
      .length;
  }
});
