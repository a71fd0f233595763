// Finds the client's address behind the proxies that an operator trusts.
import ipaddr from "ipaddr.js";
import { addressText, type IpAddress, parseAddress } from "./client-address.ts";

type Range = [IpAddress, number];

export class TrustedProxies {
  readonly #ranges: readonly Range[];

  /** `ranges` are networks such as "10.0.0.0/8", or single addresses. Throws for anything else. */
  constructor(ranges: readonly string[] = []) {
    this.#ranges = ranges.map(rangeOf);
  }

  /**
   * The canonical address of the client. Every proxy appends the address of its own peer to X-Forwarded-For, so the
   * header is read from the right, and no further than trusted proxies wrote it. An entry that is no address ends
   * the reading, because everything to its left may come from the client.
   */
  clientAddressOf(peer: string | undefined, forwardedFor: string | undefined): string {
    let address = parseAddress(peer ?? "");
    if (address === undefined) return "";
    if (forwardedFor === undefined || this.#ranges.length === 0) return addressText(address);
    let end = forwardedFor.length;
    while (end >= 0 && this.#trusts(address)) {
      const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(",", end - 1);
      const before = parseAddress(forwardedFor.slice(comma + 1, end));
      if (before === undefined) break;
      address = before;
      end = comma;
    }
    return addressText(address);
  }

  #trusts(address: IpAddress): boolean {
    return this.#ranges.some(([network, bits]) => {
      // The library throws for networks of the other kind.
      return address.kind() === network.kind() && address.match([network, bits] as [ipaddr.IPv4, number]);
    });
  }
}

function rangeOf(text: string): Range {
  if (text.includes("/")) return mappedRange(ipaddr.parseCIDR(text));
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`not an address or a network: ${text}`);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

/** Addresses of clients are unwrapped, so a network of mapped addresses has to be IPv4 too. */
function mappedRange([network, bits]: Range): Range {
  if (network.kind() === "ipv4" || bits < 96 || !(network as ipaddr.IPv6).isIPv4MappedAddress()) {
    return [network, bits];
  }
  return [(network as ipaddr.IPv6).toIPv4Address(), bits - 96];
}
