// Closes an organization while processes are killed: the erasure continues without help, and at the end no data of the
// organization remains in any service, while other organizations keep all data. Provisions organizations meanwhile in the
// same way: each is whole or undone, and a repeated request makes it whole.
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { bytesToUuid, uuidToBytes } from "@muster/core";
import { type Database, openMysql, openSqlite } from "@muster/db";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createOrganization } from "../harness/create-organization.ts";
import { findInInstallation } from "../harness/find-in-installation.ts";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { Partner } from "../harness/partner.ts";
import { RestClient } from "../harness/rest.ts";

const KILLS = 3;
const PROVISIONINGS = 4;
const EVENTS = 1_000;
const EVENTS_PER_BATCH = 500;
/** Leases of a dead process must expire first. */
const COMPLETE_MS = 120_000;

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let identity: Database;
  let segments: Database;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    identity = await openDatabase(installation, "identity");
    segments = await openDatabase(installation, "segments");
  }, 180_000);
  afterAll(async () => {
    await identity?.close();
    await segments?.close();
    await installation?.stop();
  });

  async function recordData(rest: RestClient, mark: string): Promise<void> {
    const segment = { name: `${mark} buyers`, event_name: `${mark} bought`, min_count: 1 };
    expect((await rest.post("/v1/segments", segment)).status).toBe(201);
    const profile = { user_id: `${mark}-user`, name: mark, traits: { [mark]: mark } };
    expect((await rest.post("/v1/profiles", profile)).status).toBe(201);
    for (let start = 0; start < EVENTS; start += EVENTS_PER_BATCH) {
      const events = Array.from({ length: EVENTS_PER_BATCH }, (_, index) => ({
        user_id: `${mark}-${index % 50}`,
        name: index % 10 === 0 ? "page.viewed" : `${mark} bought`,
        properties: { name: mark },
        event_id: `${mark}-${start + index}`,
      }));
      expect((await rest.post("/v1/events:batch", { events })).status).toBe(200);
    }
  }

  test("a killed erasure continues to its end", { timeout: 400_000 }, async () => {
    const mark = `close-me-${randomBytes(4).toString("hex")}`;
    const kept = `keep-me-${randomBytes(4).toString("hex")}`;
    const { organizationId, apiKey } = await createOrganization(installation, mark);
    const closing = new RestClient({ url: installation.url, apiKey });
    const other = new RestClient(installation);
    await recordData(closing, mark);
    await recordData(other, kept);
    expect(await findInInstallation(installation, mark)).not.toEqual([]);
    const id = uuidToBytes(organizationId);
    // The deletion was requested seven days ago.
    await identity.transaction(async (trx) => {
      await trx("organizations").where("id", id).update({ delete_time_ms: 1 });
    });
    const victims = mode === "embedded" ? ["all"] : ["events", "segments", "identity"];
    for (let kill = 0; kill < KILLS; kill += 1) {
      // A random moment: before the closing, while rows are deleted, or during the later steps.
      await new Promise((resolve) => setTimeout(resolve, 300 + 500 * kill));
      const victim = installation.processes.get(victims[kill % victims.length] ?? "");
      await victim?.end("SIGKILL");
      await victim?.start();
    }
    await waitFor(async () => (await closing.get("/v1/profiles")).status === 401, {
      timeoutMs: COMPLETE_MS,
      what: "the key to be refused",
    });
    await waitFor(() => isErased(identity, id), { timeoutMs: COMPLETE_MS, what: "every service to confirm" });
    expect(await findInInstallation(installation, mark)).toEqual([]);
    // The record that the organization existed, and what it has still to check.
    expect(await findInInstallation(installation, id)).toEqual([
      "identity.closed_organizations.organization_id",
      "identity.organization_closings.organization_id",
      "events.closed_organizations.organization_id",
      "segments.closed_organizations.organization_id",
      "segments.organizations.organization_id",
    ]);
    // A restarted process may still be catching up.
    const members = await waitFor(
      async () => {
        const { status, body } = await other.get(`/v1/segments/${kept}-buyers`);
        return status === 200 ? Number(body.member_count) : undefined;
      },
      { timeoutMs: COMPLETE_MS, what: "segments to have caught up" },
    );
    expect(members).toBe(45);
    expect((await closing.get("/v1/segments")).status).toBe(401);
  });

  test("provisionings of killed processes are whole or undone", { timeout: 400_000 }, async () => {
    const partner = await Partner.create(installation, "Alliance");
    const contents = Array.from({ length: KILLS * PROVISIONINGS }, (_, index) => ({
      external_id: `customer-${index}`,
      organization_name: `Provisioned ${index}`,
      owner_email: `owner-${index}@example.test`,
      owner_name: "Ada",
    }));
    const victims = mode === "embedded" ? ["all"] : ["identity", "segments"];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const wave = contents.slice(kill * PROVISIONINGS, (kill + 1) * PROVISIONINGS);
      const calls = wave.map((content) => partner.provision(content).catch(() => undefined));
      await new Promise((resolve) => setTimeout(resolve, 20 + 15 * kill));
      const victim = installation.processes.get(victims[kill % victims.length] ?? "");
      await victim?.end("SIGKILL");
      await victim?.start();
      await Promise.all(calls);
    }
    const ids: string[] = [];
    for (const content of contents) {
      const made = await waitFor(
        async () => {
          const response = await partner.provision(content).catch(() => undefined);
          return response?.status === 201 ? response : undefined;
        },
        { timeoutMs: COMPLETE_MS, what: `${content.external_id} to be provisioned` },
      );
      ids.push(made.body.organization.id);
      const name = Buffer.from(content.organization_name);
      expect(await identity.reader("organizations").select("id").where({ name })).toHaveLength(1);
    }
    // What was undone is erased from segments in the background.
    const slug = Buffer.from("active-in-the-last-7-days");
    await waitFor(
      async () => {
        const rows: { organization_id: Buffer }[] = await segments
          .reader("segments")
          .select("organization_id")
          .where({ slug });
        const found = rows.map((row) => bytesToUuid(row.organization_id)).sort();
        return found.join() === [...ids].sort().join();
      },
      { timeoutMs: COMPLETE_MS, what: "segments to have the provisioned organizations alone" },
    );
    const pending = await identity.reader("provisionings").select("external_id").whereNotNull("due_time_ms");
    expect(pending).toEqual([]);
  });
});

function openDatabase(
  { mode, variables }: Installation,
  service: "identity" | "segments",
): Promise<Database> {
  if (mode === "embedded")
    return openSqlite({ path: join(variables.MUSTER_DATA_DIR ?? "", `${service}.sqlite`) });
  const database = `${variables.MUSTER_DATABASE_PREFIX}${service}`;
  return openMysql({ url: variables.MUSTER_DATABASE_URL ?? "", database });
}

/** Whether identity and the two other services have confirmed that no data is left. */
async function isErased(identity: Database, id: Buffer): Promise<boolean> {
  const ofOrganization = { organization_id: id };
  const own = await identity.reader("closed_organizations").where(ofOrganization).andWhere("sweeps", ">", 0);
  const others = await identity.reader("organization_closings").where({ ...ofOrganization, is_erased: 1 });
  return own.length === 1 && others.length === 2;
}
