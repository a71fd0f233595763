// Tests the authentication of partners: key, signature, time, and what is stored.
import { partnerDigest, partnerKeyHash } from "@muster/authz";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { ProvisioningService } from "@muster/contracts/muster/identity/v1/provisioning_service_pb";
import { ENGINES, findInTables } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ProvisioningHarness } from "./provisioning-harness.ts";

const { provisionOrganization } = ProvisioningService.method;
const { verifyPartner } = CredentialService.method;
type Headers = Readonly<Record<string, string>>;

describe.each(ENGINES)("signatures of partners on %s", (engine) => {
  let harness: ProvisioningHarness;

  beforeAll(async () => {
    harness = await ProvisioningHarness.open(engine);
  });
  afterAll(() => harness.close());

  async function prepare() {
    const partner = await harness.partner();
    const content = harness.content();
    const rawBody = Buffer.from(JSON.stringify(content));
    const signed = (atMs: number, secret = partner.secret): Headers => {
      const time = String(Math.floor(atMs / 1000));
      const digest = partnerDigest(secret, time, rawBody).toString("hex");
      return { "x-api-key": partner.key, "x-signature": `t=${time},v1=${digest}` };
    };
    const call = (headers: Headers, body: Buffer = rawBody, service = "gateway") =>
      harness.identity.call(provisionOrganization, { ...content, rawBody: body }, { service, headers });
    return { partner, content, rawBody, signed, call };
  }

  test("a signature counts for five minutes before and after its time; a later replay is refused", async () => {
    const { signed, call } = await prepare();
    const nowMs = harness.identity.clock.nowMs();
    const headers = signed(nowMs);
    const first = await call(headers);
    const rows = await harness.rows();
    // A replay within the time has no effect.
    expect(await call(headers)).toEqual(first);
    harness.identity.later(300_000);
    expect(await call(headers)).toEqual(first);
    expect(await harness.rows()).toEqual(rows);
    harness.identity.later(1_000);
    await expectReason(call(headers), "UNAUTHENTICATED");
    const atMs = harness.identity.clock.nowMs();
    expect(await call(signed(atMs + 300_000))).toEqual(first);
    await expectReason(call(signed(atMs + 301_000)), "UNAUTHENTICATED");
  });

  test("anything but the partner's own signature of these bytes is refused, and leaves nothing", async () => {
    const { partner, rawBody, signed, call } = await prepare();
    const other = await harness.partner("Other");
    const before = await harness.rows();
    const good = signed(harness.identity.clock.nowMs());
    const { "x-api-key": key = "", "x-signature": signature = "" } = good;
    const changed = Buffer.from(rawBody.toString().replace("Ada", "Eve"));
    const refused: [string, Headers, Buffer?][] = [
      ["nothing", {}],
      ["no key", { "x-signature": signature }],
      ["no signature", { "x-api-key": key }],
      ["the key of another partner", { ...good, "x-api-key": other.key }],
      ["the secret as the key", { ...good, "x-api-key": partner.secret }],
      ["a key that nobody has", { ...good, "x-api-key": `${key.slice(0, -4)}AAAA` }],
      ["the key as a bearer", { authorization: `Bearer ${key}` }],
      ["the secret of another partner", signed(harness.identity.clock.nowMs(), other.secret)],
      ["a malformed signature", { ...good, "x-signature": `${signature},` }],
      ["another time", { ...good, "x-signature": signature.replace(/t=\d/, "t=9") }],
      ["another body", good, changed],
      ["no body", good, Buffer.alloc(0)],
    ];
    for (const [what, headers, body] of refused) {
      const error = await expectReason(call(headers, body), "UNAUTHENTICATED");
      expect(JSON.stringify(error), what).not.toContain(partner.secret);
    }
    expect(await harness.rows()).toEqual(before);
    const upper = signature.replace(
      /v1=(.*)/,
      (_, hex: string) => `v1=${"0".repeat(64)},v1=${hex.toUpperCase()}`,
    );
    await call({ ...good, "x-signature": upper });
  });

  test("only the gateway may call: other mounts cannot prove the bytes", async () => {
    const { signed, call, rawBody } = await prepare();
    const headers = signed(harness.identity.clock.nowMs());
    await expectReason(call(headers, rawBody, "events"), "UNIMPLEMENTED");
  });

  test("the gateway can verify a signature before it reads the body as JSON", async () => {
    const { partner, signed, rawBody } = await prepare();
    const { "x-signature": signature = "" } = signed(harness.identity.clock.nowMs());
    const keyHash = partnerKeyHash(partner.key) ?? Buffer.alloc(0);
    const request = { keyHash, signature, body: rawBody };
    const found = await harness.identity.call(verifyPartner, request, { service: "gateway" });
    expect(found.partnerId).toHaveLength(16);
    const forged = { ...request, body: Buffer.from("{}") };
    await expectReason(
      harness.identity.call(verifyPartner, forged, { service: "gateway" }),
      "UNAUTHENTICATED",
    );
    await expectReason(
      harness.identity.call(verifyPartner, request, { service: "events" }),
      "PERMISSION_DENIED",
    );
  });

  test("neither the key nor the secret is stored in clear", async () => {
    const { key, secret } = await harness.partner();
    expect(await findInTables(harness.identity.database, key)).toEqual([]);
    expect(await findInTables(harness.identity.database, secret)).toEqual([]);
    await expectReason(harness.partner(""), "FIELD_INVALID");
    await expectReason(harness.partner("x".repeat(256)), "FIELD_INVALID");
  });
});
