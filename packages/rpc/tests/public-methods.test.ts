// Tests public methods on every mount: nobody is authenticated, and clients are limited by their address.
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { RateClass } from "@muster/contracts/muster/options/v1/options_pb";
import type { AppError } from "@muster/errors";
import { MemoryRateLimiter } from "@muster/rate-limits";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CLIENT_ADDRESS, type ClientCallOptions, createClient, SERVICE_TOKEN } from "../src/index.ts";
import { type Mounted, mounts } from "./mounts.ts";
import { type TestModule, testModule, tokensOf } from "./test-module.ts";

const REQUESTS_MAX = 5;
const CREDENTIAL_REQUESTS_MAX = 3;

describe.each(Object.keys(mounts))("%s", (name) => {
  let module: TestModule;
  let mounted: Mounted;

  beforeEach(async () => {
    const limits = new Map([
      [RateClass.PUBLIC, { requestsMax: REQUESTS_MAX, windowSeconds: 60 }],
      [RateClass.CREDENTIAL, { requestsMax: CREDENTIAL_REQUESTS_MAX, windowSeconds: 60 }],
    ]);
    module = testModule({ limiter: new MemoryRateLimiter({ limits }) });
    const mount = mounts[name];
    if (mount === undefined) throw new Error(name);
    mounted = await mount(module);
  });
  afterEach(() => mounted.close());

  const links = () => createClient(MagicLinkService, mounted.caller);

  function sending(headers: Record<string, string>): ClientCallOptions {
    return { headers: new Map(Object.entries(headers)) };
  }

  /** The reasons of calls one after the other, "OK" for a success. */
  async function reasons(count: number, call: () => Promise<unknown>): Promise<string[]> {
    const found: string[] = [];
    for (let index = 0; index < count; index += 1) {
      found.push(
        await call().then(
          () => "OK",
          (error: AppError) => error.reason,
        ),
      );
    }
    return found;
  }

  const served = (count: number, refused: number) => [
    ...Array.from({ length: count }, () => "OK"),
    ...Array.from({ length: refused }, () => "RATE_LIMITED"),
  ];

  test.each(["Bearer reader", "Bearer mk_expired", "Bearer outage", "Basic ???", ""])(
    "ignore the credential %j",
    async (authorization) => {
      await links().sendMagicLink({ email: "ada@example.com" }, sending({ authorization }));
      expect(module.observed.calls[0]?.principal).toMatchObject({ kind: "anonymous" });
    },
  );

  test("refuse a client above the limit of the class, with the time to wait", async () => {
    const send = () => links().sendMagicLink({ email: "ada@example.com" });
    const redeem = () => links().redeemMagicLink({ token: "t" });
    expect(await reasons(REQUESTS_MAX + 2, send)).toEqual(served(REQUESTS_MAX, 2));
    expect(await reasons(CREDENTIAL_REQUESTS_MAX + 2, redeem)).toEqual(served(CREDENTIAL_REQUESTS_MAX, 2));
    expect(module.observed.calls).toHaveLength(REQUESTS_MAX + CREDENTIAL_REQUESTS_MAX);
    const error = await send().catch((failure: AppError) => failure);
    expect((error as AppError).codeName).toBe("resource_exhausted");
    expect((error as AppError).retryAfterMs).toBeGreaterThan(0);
    expect((error as AppError).retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  test("count every client by the address that no client can forge", async () => {
    let count = 0;
    const forging = () => {
      count += 1;
      const address = `203.0.113.${count}`;
      const forged = { [CLIENT_ADDRESS]: address, "x-forwarded-for": address };
      return links().sendMagicLink({ email: "ada@example.com" }, sending(forged));
    };
    expect(await reasons(REQUESTS_MAX + 1, forging)).toEqual(served(REQUESTS_MAX, 1));
  });

  test.runIf(name === "direct" || name === "grpc-js")(
    "do not count the calls of the gateway again",
    async () => {
      const gateway = sending({
        [SERVICE_TOKEN]: tokensOf("gateway").mint(),
        [CLIENT_ADDRESS]: "203.0.113.1",
      });
      const send = (options: ClientCallOptions) =>
        links().sendMagicLink({ email: "ada@example.com" }, options);
      expect(await reasons(REQUESTS_MAX + 2, () => send(gateway))).toEqual(served(REQUESTS_MAX + 2, 0));
      const other = sending({ [SERVICE_TOKEN]: tokensOf("events").mint() });
      expect(await reasons(REQUESTS_MAX + 2, () => send(other))).toEqual(served(REQUESTS_MAX, 2));
    },
  );

  test.runIf(name === "grpc-js")("refuse a message above 16 KiB before they decode it", async () => {
    const oversized = { email: "x".repeat(16 * 1024) };
    expect(await reasons(1, () => links().sendMagicLink(oversized))).toEqual(["TOO_LARGE"]);
    const large = { email: "x".repeat(16 * 1024 - 100) };
    expect(await reasons(1, () => links().sendMagicLink(large))).toEqual(["FIELD_INVALID"]);
  });
});
