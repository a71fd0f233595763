// Reads IP addresses into one canonical form, and reduces them to the key by which clients are counted.
import ipaddr from "ipaddr.js";
import { LRUCache } from "lru-cache";

type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

/** Longer than any address with brackets, zone and port. */
const TEXT_CHARS_MAX = 128;
const IPV6_CLIENT_BITS = 64;
const BRACKETED = /^\[([^\]]*)\](?::\d{1,5})?$/;
const IPV4_AND_PORT = /^([\d.]+):\d{1,5}$/;
const PORT = /:\d{1,5}$/;
const UNKNOWN = "unknown";

/** Formatting an IPv6 address takes longer than the rest of a short call. */
const canonicalTexts = new LRUCache<string, string>({ max: 10_000 });

/**
 * The canonical form of the address in the text, which may have a port: four decimal parts for IPv4, RFC 5952 for
 * IPv6 without a zone. An IPv4 address mapped into IPv6 is IPv4. Empty where the text is not an address.
 */
export function canonicalAddress(text: string | undefined): string {
  if (text === undefined || text.length > TEXT_CHARS_MAX) return "";
  const cached = canonicalTexts.get(text);
  if (cached !== undefined) return cached;
  const address = parseAddress(text);
  const canonical = address === undefined ? "" : textOf(address);
  canonicalTexts.set(text, canonical);
  return canonical;
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
  if (parsed === undefined) return UNKNOWN;
  if (parsed instanceof ipaddr.IPv4) return textOf(parsed);
  const network = parsed.parts.map((part, index) => (index < IPV6_CLIENT_BITS / 16 ? part : 0));
  return `${textOf(new ipaddr.IPv6(network))}/${IPV6_CLIENT_BITS}`;
}

function parseAddress(text: string): IpAddress | undefined {
  if (text.length > TEXT_CHARS_MAX) return undefined;
  const trimmed = text.trim();
  const host = BRACKETED.exec(trimmed)?.[1] ?? IPV4_AND_PORT.exec(trimmed)?.[1] ?? trimmed;
  // The library accepts octal, hexadecimal and shortened IPv4 addresses, which proxies do not write.
  if (ipaddr.IPv4.isValidFourPartDecimal(host)) return ipaddr.IPv4.parse(host);
  const withoutZone = host.replace(/%[\w.-]*$/, "");
  if (!ipaddr.IPv6.isValid(withoutZone)) return undefined;
  const address = ipaddr.IPv6.parse(withoutZone);
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

function textOf(address: IpAddress): string {
  return address instanceof ipaddr.IPv4 ? address.toString() : address.toRFC5952String();
}
