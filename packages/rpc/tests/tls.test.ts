// TLS and mutual TLS on the gRPC port, with a self-signed pair that is trusted nowhere.
import { readFileSync } from "node:fs";
import { Health } from "@muster/contracts/grpc/health/v1/health_pb";
import { afterEach, expect, test } from "vitest";
import {
  createClient,
  type GrpcClientTls,
  type GrpcServerTls,
  grpcCaller,
  startGrpcServer,
} from "../src/index.ts";
import { silent } from "./mounts.ts";

const read = (name: string): Buffer => readFileSync(new URL(`./testdata/${name}`, import.meta.url));
const certificate = read("test-only-certificate.pem");
const key = read("test-only-key.pem");

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function check(server: GrpcServerTls, client: GrpcClientTls | undefined): Promise<unknown> {
  const started = await startGrpcServer({
    dispatchers: [],
    host: "127.0.0.1",
    port: 0,
    tls: server,
    log: silent,
  });
  const caller = grpcCaller({ address: started.address, tls: client });
  closing.push(
    () => caller.close(),
    () => started.stop(0),
  );
  return createClient(Health, caller).check({});
}

test("a client that trusts the certificate is served; others are not", async () => {
  await expect(check({ certificate, key }, { ca: certificate })).resolves.toMatchObject({ status: 1 });
  await expect(check({ certificate, key }, {})).rejects.toMatchObject({ reason: "UNAVAILABLE" });
  await expect(check({ certificate, key }, undefined)).rejects.toMatchObject({ reason: "UNAVAILABLE" });
});

test("with a client CA only clients with a certificate are served", async () => {
  const server = { certificate, key, clientCa: certificate };
  await expect(check(server, { ca: certificate, certificate, key })).resolves.toMatchObject({ status: 1 });
  await expect(check(server, { ca: certificate })).rejects.toMatchObject({ reason: "UNAVAILABLE" });
});
