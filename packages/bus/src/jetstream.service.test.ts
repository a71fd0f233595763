// Tests a broker that is down: calls end in time, and delivery continues when the broker is back.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { randomIds, systemClock } from "@muster/core";
import { createLogger } from "@muster/log";
import { freePort, type PrivateServer, startNatsServer, waitFor } from "@muster/testkit";
import { connect } from "nats";
import { afterEach, beforeEach, expect, it } from "vitest";
import { JetStreamBus } from "./jetstream.ts";

const log = createLogger({ level: "silent" });
let folder: string;
let port: number;
let server: PrivateServer | undefined;
let bus: JetStreamBus | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bus-"));
  port = await freePort();
});
afterEach(async () => {
  await bus?.close();
  await server?.kill();
  await rm(folder, { recursive: true, force: true });
});

const open = (): Promise<JetStreamBus> =>
  JetStreamBus.connect({
    servers: [`nats://127.0.0.1:${port}`],
    name: "bus-test",
    clock: systemClock,
    log,
    timeoutMs: 400,
  });

const message = (position: number) =>
  create(EnvelopeSchema, {
    id: randomIds.next(systemClock.nowMs()),
    source: "events",
    type: "muster.events.tracked_event.recorded.v1",
    shard: 3,
    position: BigInt(position),
  });

it("starts without a broker, rejects in time, and delivers once there is one", async () => {
  bus = await open();
  const positions: bigint[] = [];
  const subscription = await bus.subscribe({
    source: "events",
    consumer: "segments",
    shard: 3,
    startAfter: 0,
    maxInFlight: 8,
    onDelivery: (delivery) => {
      positions.push(delivery.envelope?.position ?? 0n);
      delivery.ack();
    },
  });
  const received: string[] = [];
  bus.onBroadcast("topic", (payload) => received.push(Buffer.from(payload).toString()));
  bus.broadcast("topic", Buffer.from("here"));
  // The handlers of the same process receive the broadcast nevertheless.
  await waitFor(() => received.length === 1);
  await expect(bus.publish([message(1)])).rejects.toThrow("the broker does not respond");
  server = await startNatsServer({ folder, port });
  await waitFor(
    () =>
      bus?.publish([message(1)]).then(
        () => true,
        () => false,
      ),
    { timeoutMs: 10_000 },
  );
  await waitFor(() => positions.length === 1, { timeoutMs: 10_000 });
  await subscription.close();
});

it("continues after the broker was killed, and after its stream was deleted", async () => {
  server = await startNatsServer({ folder, port });
  bus = await open();
  const positions = new Set<number>();
  await bus.subscribe({
    source: "events",
    consumer: "segments",
    shard: 3,
    startAfter: 0,
    maxInFlight: 8,
    onDelivery: (delivery) => {
      positions.add(Number(delivery.envelope?.position ?? 0n));
      delivery.ack();
    },
  });
  await bus.publish([message(1)]);
  await waitFor(() => positions.has(1));
  await server.kill();
  await expect(bus.publish([message(2)])).rejects.toThrow("did not take");
  await server.start();
  await waitFor(
    () =>
      bus?.publish([message(2)]).then(
        () => true,
        () => false,
      ),
    { timeoutMs: 10_000 },
  );
  await waitFor(() => positions.has(2), { timeoutMs: 10_000 });

  const connection = await connect({ servers: server.url });
  await (await connection.jetstreamManager()).streams.delete("MUSTER_EVENTS");
  await connection.close();
  await waitFor(
    () =>
      bus?.publish([message(3)]).then(
        () => true,
        () => false,
      ),
    { timeoutMs: 10_000 },
  );
  await waitFor(() => positions.has(3), { timeoutMs: 15_000 });
}, 40_000);
