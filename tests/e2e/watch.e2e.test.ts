// Watches a segment by gRPC at its service and by Connect at the gateway: both streams have the same changes,
// continue after a cut, and end with the segment.
import { Code, ConnectError, createClient as createConnectClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { WatchSegmentResponse } from "@muster/contracts/muster/segments/v1/segment_watch_pb";
import { MembershipOrigin } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { AppError } from "@muster/errors";
import { createClient, type GrpcCaller, grpcCaller } from "@muster/rpc";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

/** Opens a watch; the signal cuts it. */
type Watch = (resumeToken: string, signal: AbortSignal) => AsyncIterable<WatchSegmentResponse>;

class Follower {
  readonly #watch: Watch;
  readonly members = new Set<string>();
  readonly origins: MembershipOrigin[] = [];
  readonly #cut = new AbortController();
  token: string;
  error: unknown;
  readonly ended: Promise<void>;

  constructor(watch: Watch, resumeFrom?: Follower) {
    this.#watch = watch;
    this.token = resumeFrom?.token ?? "";
    for (const id of resumeFrom?.members ?? []) this.members.add(id);
    this.ended = this.#follow();
  }

  async cut(): Promise<void> {
    this.#cut.abort();
    await this.ended;
  }

  async #follow(): Promise<void> {
    try {
      for await (const { kind, resumeToken } of this.#watch(this.token, this.#cut.signal)) {
        if (kind.case === "members")
          for (const { profileId } of kind.value.members) this.members.add(profileId);
        if (kind.case === "changes") {
          for (const { profileId, member, origin } of kind.value.changes) {
            expect(this.members.has(profileId)).toBe(!member);
            if (member) this.members.add(profileId);
            else this.members.delete(profileId);
            this.origins.push(origin);
          }
        }
        this.token = resumeToken;
      }
    } catch (error) {
      this.error = error;
    }
  }
}

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;
  let grpc: GrpcCaller;
  let watches: readonly Watch[];
  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
    grpc = grpcCaller({ address: installation.segmentsAddress });
    const authorization = `Bearer ${installation.apiKey}`;
    const transport = createConnectTransport({ baseUrl: installation.url });
    const connect = createConnectClient(SegmentService, transport);
    watches = [
      (resumeToken, signal) =>
        createClient(SegmentService, grpc, {
          headers: new Map([["authorization", authorization]]),
          signal,
        }).watchSegment({ segmentId: "lately", resumeToken }),
      (resumeToken, signal) =>
        connect.watchSegment({ segmentId: "lately", resumeToken }, { signal, headers: { authorization } }),
    ];
  }, 60_000);
  afterAll(async () => {
    grpc?.close();
    await installation?.stop();
  });

  const record = async (users: readonly string[]): Promise<void> => {
    const events = users.map((user_id) => ({ user_id, name: "seen" }));
    expect((await rest.post("/v1/events:batch", { events })).status).toBe(200);
  };
  const membersByRest = async (): Promise<string[]> =>
    (await rest.all("/v1/segments/lately/profiles", "profiles")).map(({ id }) => id).sort();

  test("members, entries by events, exits by time, a cut, the end", { timeout: 120_000 }, async () => {
    const rule = { performed: { event_name: "seen", count: { at_least: 1 }, window: { last: "20s" } } };
    expect((await rest.post("/v1/segments", { name: "Lately", rule })).status).toBe(201);
    await record(["ada", "bo"]);
    const followers = watches.map((watch) => new Follower(watch));
    for (const follower of followers) await waitFor(() => follower.members.size === 2, { timeoutMs: 15_000 });
    await record(["cy", "dee"]);
    for (const follower of followers) await waitFor(() => follower.members.size === 4, { timeoutMs: 15_000 });
    expect([...(followers[0]?.members ?? [])].sort()).toEqual(await membersByRest());

    for (const follower of followers) await follower.cut();
    await record(["eve"]);
    const resumed = watches.map((watch, index) => new Follower(watch, followers[index]));
    const everyone = [
      ...Array.from({ length: 3 }, () => MembershipOrigin.LIVE),
      ...Array.from({ length: 5 }, () => MembershipOrigin.TIMER),
    ];
    for (const [index, { members, origins }] of resumed.entries()) {
      const received = () => [...(followers[index]?.origins ?? []), ...origins];
      await waitFor(() => members.size === 0 && received().length === everyone.length, { timeoutMs: 45_000 });
      // Ada and Bo were members from the start; the others entered by an event, and all left by time.
      expect(received().sort()).toEqual(everyone);
    }
    expect(await membersByRest()).toEqual([]);

    expect((await rest.request("DELETE", "/v1/segments/lately")).status).toBe(204);
    await Promise.all(resumed.map(({ ended }) => ended));
    const [byGrpc, byConnect] = resumed.map(({ error }) => error);
    expect(byGrpc instanceof AppError && byGrpc.reason).toBe("SEGMENT_NOT_FOUND");
    expect(byConnect instanceof ConnectError && byConnect.code).toBe(Code.NotFound);
  });

  test("all that is announced reaches the bus", async () => {
    await waitFor(async () => {
      const text = await (await fetch(installation.segmentsMetricsUrl)).text();
      const published = /muster_outbox_published_messages_total\{[^}]*service="segments"[^}]*\} (\d+)/.exec(
        text,
      );
      return Number(published?.[1] ?? 0) >= 4;
    });
  });

  test("without a key nobody watches", async () => {
    const watch = createClient(SegmentService, grpc).watchSegment({ segmentId: "abandoned-cart" });
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toMatchObject({ reason: "UNAUTHENTICATED" });
  });
});
