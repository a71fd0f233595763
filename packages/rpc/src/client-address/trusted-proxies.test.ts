import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { TrustedProxies } from "./trusted-proxies.ts";

const PROXY = "10.0.0.1";
const CLIENT = "203.0.113.9";
const proxies = new TrustedProxies(["10.0.0.0/8", "192.0.2.7", "fd00::/8", "::ffff:198.51.100.0/120"]);

test.each<[string, string, string | undefined, string]>([
  ["without the header, the peer", PROXY, undefined, PROXY],
  ["the client behind a proxy", PROXY, CLIENT, CLIENT],
  ["the client behind three proxies", PROXY, `${CLIENT}, fd00::2, 192.0.2.7`, CLIENT],
  ["a proxy that connects over mapped IPv6", `::ffff:${PROXY}`, CLIENT, CLIENT],
  ["a proxy of a mapped network", "198.51.100.3", CLIENT, CLIENT],
  ["an address with a port", PROXY, `${CLIENT}:40312`, CLIENT],
  ["an IPv6 client", PROXY, "[2001:DB8::1]:443", "2001:db8::1"],
  ["a client within the trusted networks", PROXY, "10.1.1.1, 10.0.0.2", "10.1.1.1"],
  ["no more than the nearest address that is not trusted", PROXY, `1.1.1.1, ${CLIENT}`, CLIENT],
  ["trusted addresses left of an untrusted one are forged", PROXY, `10.0.0.9, ${CLIENT}`, CLIENT],
  ["a peer that is no proxy forges the header", CLIENT, "1.1.1.1", CLIENT],
  ["a peer next to the trusted address", "192.0.2.8", "1.1.1.1", "192.0.2.8"],
  ["garbage", PROXY, "unknown", PROXY],
  ["garbage left of the client", PROXY, `garbage, ${CLIENT}`, CLIENT],
  ["what is left of garbage comes from anybody", PROXY, "1.1.1.1, unknown, 10.0.0.2", "10.0.0.2"],
  ["an empty header", PROXY, "", PROXY],
  ["empty entries", PROXY, `${CLIENT},`, PROXY],
  ["a header of commas", PROXY, ",".repeat(16_000), PROXY],
])("%s", (_, peer, header, client) => {
  expect(proxies.clientAddressOf(peer, header)).toBe(client);
});

test("without trusted proxies the header means nothing", () => {
  expect(new TrustedProxies().clientAddressOf("127.0.0.1", CLIENT)).toBe("127.0.0.1");
});

test("a connection that is gone has no address", () => {
  expect(proxies.clientAddressOf(undefined, CLIENT)).toBe("");
});

test.each(["10.0.0.0/33", "fd00::/129", "10.0.0.0/", "proxy.example.com", "10.0.0"])(
  "%s is refused",
  (range) => {
    expect(() => new TrustedProxies([range])).toThrow();
  },
);

test("whatever a client sends, a trusted proxy that appends the client's address settles it", () =>
  checkProperty(
    fc.property(fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.constant(PROXY))), (sent) => {
      expect(proxies.clientAddressOf(PROXY, [...sent, CLIENT].join(", "))).toBe(CLIENT);
    }),
  ));
