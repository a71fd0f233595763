import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalAddress, clientKeyOf, grpcPeerAddress } from "./client-address.ts";

test.each([
  ["203.0.113.9", "203.0.113.9"],
  [" 203.0.113.9 ", "203.0.113.9"],
  ["203.0.113.9:40312", "203.0.113.9"],
  ["::ffff:203.0.113.9", "203.0.113.9"],
  ["::FFFF:cb00:7109", "203.0.113.9"],
  ["[::ffff:203.0.113.9]:443", "203.0.113.9"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["[2001:db8::1]:443", "2001:db8::1"],
  ["fe80::1%eth0", "fe80::1"],
])("%s is %s", (text, address) => {
  expect(canonicalAddress(text)).toBe(address);
});

test.each([
  "",
  "unknown",
  "_hidden",
  "203.0.113",
  "203.0.113.256",
  "0203.0.113.9",
  "0xcb007109",
  "3405803785",
  "203.0.113.9/24",
  "203.0.113.9 203.0.113.10",
  "2001:db8::1::2",
  "2001:db8:::1",
  "[2001:db8::1",
  "localhost",
  "1".repeat(10_000),
])("%j is no address", (text) => {
  expect(canonicalAddress(text)).toBe("");
  expect(clientKeyOf(text)).toBe("unknown");
});

test("a peer of gRPC has its port behind the address", () => {
  expect(grpcPeerAddress("203.0.113.9:40312")).toBe("203.0.113.9");
  expect(grpcPeerAddress("::1:40312")).toBe("::1");
  expect(grpcPeerAddress("::ffff:127.0.0.1:40312")).toBe("127.0.0.1");
  expect(grpcPeerAddress("unknown")).toBe("");
});

test("a client is an IPv4 address or a /64 network", () => {
  expect(clientKeyOf("203.0.113.9")).toBe("203.0.113.9");
  expect(clientKeyOf("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1:2::/64");
  expect(clientKeyOf("2001:db8:1:2::")).toBe("2001:db8:1:2::/64");
  expect(clientKeyOf("2001:db8:1:3::")).not.toBe(clientKeyOf("2001:db8:1:2::"));
});

test("the canonical form is stable, and addresses of one network have one key", () =>
  checkProperty(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const address = canonicalAddress(text);
      expect(address).not.toBe("");
      expect(canonicalAddress(address)).toBe(address);
      expect(clientKeyOf(text)).toBe(clientKeyOf(address));
    }),
  ));
