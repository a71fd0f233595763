// Reads IP addresses into one canonical form, and reduces them to the key by which clients are counted.
import ipaddr from "ipaddr.js";

export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

/** Longer than any address with brackets, zone and port. */
const TEXT_CHARS_MAX = 128;
const IPV6_CLIENT_BITS = 64;
const BRACKETED = /^\[([^\]]*)\](?::\d{1,5})?$/;
const IPV4_AND_PORT = /^([\d.]+):\d{1,5}$/;
const PORT = /:\d{1,5}$/;

/**
 * The address in the text, which may have a port: an IPv4 address of four decimal parts, or an IPv6 address,
 * without its zone. An IPv4 address mapped into IPv6 is IPv4. Undefined for anything else.
 */
export function parseAddress(text: string): IpAddress | undefined {
  const trimmed = text.trim();
  if (trimmed.length > TEXT_CHARS_MAX) return undefined;
  const host = BRACKETED.exec(trimmed)?.[1] ?? IPV4_AND_PORT.exec(trimmed)?.[1] ?? trimmed;
  // The library accepts octal, hexadecimal and shortened IPv4 addresses, which proxies do not write.
  if (ipaddr.IPv4.isValidFourPartDecimal(host)) return ipaddr.IPv4.parse(host);
  const withoutZone = host.replace(/%[\w.-]*$/, "");
  if (!ipaddr.IPv6.isValid(withoutZone)) return undefined;
  const address = ipaddr.IPv6.parse(withoutZone);
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/** IPv4 with four decimal parts, IPv6 as RFC 5952 writes it. */
export function addressText(address: IpAddress): string {
  return address.kind() === "ipv4" ? address.toString() : (address as ipaddr.IPv6).toRFC5952String();
}

/** The canonical form of the address; empty where the text is not an address. */
export function canonicalAddress(text: string | undefined): string {
  const address = parseAddress(text ?? "");
  return address === undefined ? "" : addressText(address);
}

/** The address in a peer's name as grpc-js writes it: without brackets, always with a port. */
export function grpcPeerAddress(peer: string): string {
  return canonicalAddress(peer.replace(PORT, ""));
}

/**
 * The key by which a client is counted: an IPv4 address, or the /64 network of an IPv6 address, because one
 * client has a whole network. All callers without an address share the key "unknown".
 */
export function clientKeyOf(address: string): string {
  const parsed = parseAddress(address);
  if (parsed === undefined) return "unknown";
  if (parsed.kind() === "ipv4") return addressText(parsed);
  const parts = (parsed as ipaddr.IPv6).parts.map((part, index) =>
    index < IPV6_CLIENT_BITS / 16 ? part : 0,
  );
  return `${addressText(new ipaddr.IPv6(parts))}/${IPV6_CLIENT_BITS}`;
}
