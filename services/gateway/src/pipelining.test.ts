// Tests the memory that a single client can take: requests of a connection run in turn, and unread responses
// are bounded and dropped.
import { create } from "@bufbuild/protobuf";
import { GetProfileResponseSchema } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { waitFor } from "@muster/testkit";
import { afterEach, expect, test } from "vitest";
import { head, RawConnection, send, startTestGateway, type TestGateway } from "./test-gateway.ts";

const started: TestGateway[] = [];
async function gatewayWith(options: Parameters<typeof startTestGateway>[0]): Promise<TestGateway> {
  const gateway = await startTestGateway(options);
  started.push(gateway);
  return gateway;
}
afterEach(async () => {
  await Promise.all(started.splice(0).map(({ gateway }) => gateway.stop(0)));
});

const GET = (id: number | string, key = "k") => head("GET", `/v1/profiles/${id}`, { authorization: key });
const profileOf = (name: string) => async () => ({
  message: create(GetProfileResponseSchema, { profile: { name } }),
  headers: new Map<string, string>(),
});

test("a pipelined request starts once the response before it is written", async () => {
  const muster = await gatewayWith({});
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
  muster.caller.response = async () => {
    await gates[muster.caller.calls.length - 1]?.promise;
    return profileOf(`n${muster.caller.calls.length}`)();
  };
  const connection = (await RawConnection.open(muster.port)).send(GET(1) + GET(2) + GET(3));
  for (const [index, gate] of gates.entries()) {
    await waitFor(() => muster.caller.calls.length === index + 1);
    // A request of another connection completes, so the next pipelined request had time to start.
    expect((await send(muster.port, "/livez")).status).toBe(200);
    expect(muster.caller.calls).toHaveLength(index + 1);
    gate.resolve();
  }
  await connection.responses(3);
  expect([...connection.text.matchAll(/"name":"(n\d)"/g)].map(([, name]) => name)).toEqual([
    "n1",
    "n2",
    "n3",
  ]);
});

test("bodies of pipelined requests arrive at their own request", async () => {
  const muster = await gatewayWith({});
  muster.caller.response = async (method) => ({ message: create(method.output), headers: new Map() });
  const post = (name: string): string => {
    const body = JSON.stringify({ user_id: "u", name: name.repeat(50_000) });
    const headers = { "content-type": "application/json", "content-length": body.length };
    return head("POST", "/v1/events", headers) + body;
  };
  const connection = await RawConnection.open(muster.port);
  connection.send(post("a") + GET(1) + post("b") + GET(2) + post("c"));
  expect(await connection.responses(5)).toEqual([201, 200, 201, 200, 201]);
  const names = muster.caller.calls.flatMap(({ request }) => {
    const { event } = request as unknown as { event?: { name: string } };
    return event === undefined ? [] : [event.name[0]];
  });
  expect(names).toEqual(["a", "b", "c"]);
});

test("a hundred pipelined GETs of a client that reads nothing run one call", async () => {
  const muster = await gatewayWith({ limits: { idleTimeoutMs: 500 } });
  muster.caller.response = profileOf("x".repeat(16 * 1024 * 1024));
  const connection = await RawConnection.open(muster.port);
  connection.socket.pause();
  connection.send(GET(1).repeat(100));
  await waitFor(() => muster.caller.calls.length === 1);
  await waitFor(() => muster.caller.calls[0]?.options.signal.aborted === true);
  expect(muster.caller.calls).toHaveLength(1);
});

test("a connection on which too many requests wait is cut, and its requests are dropped", async () => {
  const muster = await gatewayWith({ limits: { waitingRequestsMax: 10 } });
  const { promise, resolve } = Promise.withResolvers<void>();
  muster.caller.response = async () => {
    await promise;
    return profileOf("n")();
  };
  const patient = (await RawConnection.open(muster.port)).send(GET(1).repeat(11));
  const flooding = (await RawConnection.open(muster.port)).send(GET(2).repeat(5_000));
  await waitFor(() => flooding.isClosed);
  expect(flooding.text).toBe("");
  resolve();
  expect(await patient.responses(11)).toEqual(new Array(11).fill(200));
  expect(muster.caller.calls).toHaveLength(12);
});

test("unread responses fill the share of their organization, not that of others", async () => {
  const muster = await gatewayWith({
    limits: {
      responses: { bytesMax: 64 * 1024 * 1024, shareBytesMax: 20 * 1024 * 1024 },
      idleTimeoutMs: 700,
    },
  });
  muster.caller.response = profileOf("x".repeat(9 * 1024 * 1024));
  const unread = [await RawConnection.open(muster.port), await RawConnection.open(muster.port)];
  for (const { socket } of unread) socket.pause();
  for (const connection of unread) connection.send(GET(1, "greedy"));
  await waitFor(() => muster.caller.calls.length === 2);
  const of = (authorization: string) => send(muster.port, "/v1/profiles/1", { headers: { authorization } });
  const refused = await of("greedy");
  expect(refused.status).toBe(429);
  expect(refused.headers["retry-after"]).toBe("1");
  expect(refused.json()).toMatchObject({ reason: "OVERLOADED" });
  expect((await of("other")).status).toBe(200);
  // After the idle timeout the gateway cuts both connections and frees the share.
  await waitFor(async () => (await of("greedy")).status === 200);
});
