// Exports a profile by REST, by Connect at the gateway and by gRPC at the service, and checks that the logs
// contain no personal data.
import { readFile } from "node:fs/promises";
import { createClient as createConnectClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { createClient, grpcCaller } from "@muster/rpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

/** Occurs only in values about Ada. */
const MARKER = "lovelace-1815";

interface ExportedRecord {
  readonly kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: the test asserts what the JSON holds.
  readonly data: any;
}

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;
  beforeAll(async () => {
    installation = await startInstallation(mode, { MUSTER_LOG_LEVEL: "debug" });
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  const of = (records: readonly ExportedRecord[], kind: string) =>
    records.filter((record) => record.kind === kind).map(({ data }) => data);

  async function track(identity: object, name: string, properties: object = {}): Promise<void> {
    const response = await rest.post("/v1/events", { ...identity, name, properties });
    expect(response.status, response.text).toBe(201);
  }

  async function exported(profileId: string): Promise<ExportedRecord[]> {
    const response = await rest.get(`/v1/profiles/${profileId}:export`);
    expect(response.status, response.text).toBe(200);
    return response.body.records;
  }

  test("an export contains all that was acknowledged before it, of a single person", async () => {
    const fields = { user_id: MARKER, email: `${MARKER}@example.com`, traits: { note: MARKER } };
    const { body: ada } = await rest.post("/v1/profiles", fields);
    const { body: device } = await rest.post("/v1/profiles", { anonymous_id: `device of ${MARKER}` });
    await track({ user_id: "somebody else" }, "cart.added", { text: "not hers" });
    await track({ user_id: MARKER }, "cart.added", { text: MARKER });
    await track({ anonymous_id: `device of ${MARKER}` }, "page.viewed", { name: MARKER });

    const before = await exported(ada.id);
    expect(of(before, "membership")).toEqual([
      expect.objectContaining({ profile_id: ada.id, segment_slug: "abandoned-cart", member: true }),
    ]);
    expect(of(before, "page_views")).toEqual([]);

    expect((await rest.post(`/v1/profiles/${device.id}:merge`, { into: ada.id })).status).toBe(200);
    await track({ user_id: MARKER }, "order.completed");
    const records = await exported(device.id);
    expect(of(records, "profile")).toEqual([
      expect.objectContaining({ id: ada.id, ...fields }),
      expect.objectContaining({ id: device.id, anonymous_id: `device of ${MARKER}` }),
    ]);
    expect(
      of(records, "event")
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["cart.added", "order.completed", "page.viewed"]);
    expect(of(records, "page_views")[0].views[0].page).toBe(MARKER);
    expect(of(records, "membership").filter(({ member }) => member)).toEqual([]);
    expect(JSON.stringify(records)).not.toMatch(/somebody else|not hers/);

    expect(await streamedByConnect(ada.id)).toEqual(records);
    expect(await streamedByGrpc(ada.id)).toEqual(records);
  });

  const opened = (records: readonly { kind: string; data: string }[]): ExportedRecord[] =>
    records.map(({ kind, data }) => ({ kind, data: JSON.parse(data) }));
  const authorization = () => `Bearer ${installation.apiKey}`;

  async function streamedByConnect(profileId: string): Promise<ExportedRecord[]> {
    const transport = createConnectTransport({ baseUrl: installation.url });
    const client = createConnectClient(ExportService, transport);
    const received: ExportedRecord[] = [];
    const headers = { authorization: authorization() };
    for await (const { records } of client.exportProfile({ profileId }, { headers }))
      received.push(...opened(records));
    return received;
  }

  async function streamedByGrpc(profileId: string): Promise<ExportedRecord[]> {
    const caller = grpcCaller({ address: installation.eventsAddress });
    try {
      const headers = new Map([["authorization", authorization()]]);
      const client = createClient(ExportService, caller, { headers });
      const received: ExportedRecord[] = [];
      for await (const { records } of client.exportProfile({ profileId })) received.push(...opened(records));
      return received;
    } finally {
      caller.close();
    }
  }

  test("no process has written anything of her into its log", async () => {
    await rest.post("/v1/profiles", { user_id: MARKER });
    await rest.post("/v1/events", { user_id: MARKER, name: MARKER, timestamp: MARKER });
    await rest.get(`/v1/profiles?user_id=${MARKER}&${MARKER}=1`);
    await rest.get(`/v1/user/${MARKER}`);
    let lines = 0;
    for (const { logPath } of installation.processes.values()) {
      const log = await readFile(logPath, "utf8");
      lines += log.split("\n").length;
      expect(log).not.toContain(MARKER);
    }
    expect(lines).toBeGreaterThan(20);
  });
});
