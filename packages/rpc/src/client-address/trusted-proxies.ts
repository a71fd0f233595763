// Finds the client's address behind the proxies that an operator trusts.
import { BlockList, isIP, isIPv6 } from "node:net";
import { AssertionError } from "@muster/core";
import { canonicalAddress } from "./client-address.ts";

export class TrustedProxies {
  readonly #trusted = new BlockList();

  /** `ranges` are networks such as "10.0.0.0/8", or single addresses. Throws for other texts. */
  constructor(ranges: readonly string[] = []) {
    for (const range of ranges) {
      const [host = "", bits] = range.split("/");
      const family = isIP(host);
      if (family === 0 || bits === "") throw new AssertionError(`not an address or a network: ${range}`);
      const ofHost = family === 4 ? 32 : 128;
      this.#trusted.addSubnet(
        host,
        bits === undefined ? ofHost : Number(bits),
        family === 4 ? "ipv4" : "ipv6",
      );
    }
  }

  /**
   * The canonical address of the client. Every proxy appends the address of its own peer to X-Forwarded-For, so the
   * header is read from the right, and no further than trusted proxies wrote the entries. An entry without an address
   * ends the reading, because the entries to the left may come from the client.
   */
  clientAddressOf(peer: string | undefined, forwardedFor: string | undefined): string {
    let address = canonicalAddress(peer);
    if (forwardedFor === undefined) return address;
    let end = forwardedFor.length;
    while (end >= 0 && this.#trusts(address)) {
      const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(",", end - 1);
      const before = canonicalAddress(forwardedFor.slice(comma + 1, end));
      if (before === "") break;
      address = before;
      end = comma;
    }
    return address;
  }

  #trusts(address: string): boolean {
    return address !== "" && this.#trusted.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  }
}
