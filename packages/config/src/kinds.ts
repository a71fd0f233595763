// Parses the values of variables by kind, and describes each kind for error messages.
import { isIP } from "node:net";

export interface Kind<T> {
  /** Completes "expected …". */
  readonly expected: string;
  /** Undefined when the text is not of this kind. */
  parse(text: string): T | undefined;
  /** The printable part of a secret; without this function the whole value is hidden. */
  redact?(text: string): string;
}

export function text(pattern: RegExp, expected: string): Kind<string> {
  return { expected, parse: (value) => (pattern.test(value) ? value : undefined) };
}

export function choice<const T extends string>(...choices: readonly T[]): Kind<T> {
  return {
    expected: `one of ${choices.join(", ")}`,
    parse: (value) => choices.find((one) => one === value),
  };
}

/** A comma list without repeats; `all` stands for every choice. */
export function choiceList<const T extends string>(...choices: readonly T[]): Kind<readonly T[]> {
  return {
    expected: `all, or a comma list of ${choices.join(", ")}`,
    parse(value) {
      if (value === "all") return choices;
      const requested = value.split(",").map((part) => part.trim());
      const known = choices.filter((one) => requested.includes(one));
      return known.length > 0 && known.length === new Set(requested).size ? known : undefined;
    },
  };
}

export function textList(pattern: RegExp, expected: string): Kind<readonly string[]> {
  return {
    expected,
    parse(value) {
      const parts = value === "" ? [] : value.split(",").map((part) => part.trim());
      return parts.every((part) => pattern.test(part)) ? parts : undefined;
    },
  };
}

/** A comma list of IP addresses and networks. */
export const networkList: Kind<readonly string[]> = {
  expected: "a comma list of addresses and networks such as 10.0.0.0/8,fd00::/8",
  parse(value) {
    const parts = value === "" ? [] : value.split(",").map((part) => part.trim());
    return parts.every(isNetwork) ? parts : undefined;
  },
};

function isNetwork(value: string): boolean {
  const [address = "", bits, ...more] = value.split("/");
  const family = isIP(address);
  if (family === 0 || more.length > 0 || address.includes("%")) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

export function integer(min: number, max: number): Kind<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    parse(value) {
      const number = Number(value);
      return /^\d{1,15}$/.test(value) && number >= min && number <= max ? number : undefined;
    },
  };
}

/** A URL of one of the protocols; a password in it is a secret. */
export function url(...protocols: readonly string[]): Kind<string> {
  return {
    expected: `a URL such as ${protocols[0]}://user:password@host:port`,
    parse: (value) => (isUrl(value, protocols) ? value : undefined),
    redact: redactPassword,
  };
}

/** A comma list of URLs. */
export function urlList(...protocols: readonly string[]): Kind<readonly string[]> {
  return {
    expected: `${protocols[0]}://host:port, or a comma list of such`,
    parse(value) {
      const parts = value.split(",").map((part) => part.trim());
      return parts.every((part) => isUrl(part, protocols)) ? parts : undefined;
    },
    redact: (value) => value.split(",").map(redactPassword).join(","),
  };
}

/** host:port, or a target of gRPC's naming with a list of addresses or a name. */
export const address: Kind<string> = {
  expected:
    "host:port, dns:///host:port, or a comma list such as ipv4:10.0.0.1:50051,10.0.0.2:50051 (ipv6: too)",
  parse: (value) => (isAddress(value) ? value : undefined),
};

const PORT_MAX = 65_535;

function isAddress(value: string): boolean {
  if (isHostAndPort(value)) return true;
  const [, scheme, rest = ""] = /^(ipv4|ipv6|dns):(.*)$/s.exec(value) ?? [];
  // Between the slashes of a dns target stands the name server, if any.
  if (scheme === "dns") return isHostAndPort(rest.replace(/^\/\/[\w.:[\]-]*\//, ""));
  const family = scheme === "ipv6" ? 6 : 4;
  return scheme !== undefined && rest.split(",").every((part) => isHostAndPort(part, family));
}

function isHostAndPort(value: string, family?: 4 | 6): boolean {
  const [, bracketed, plain = "", port] = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(value) ?? [];
  if (port === undefined || Number(port) === 0 || Number(port) > PORT_MAX) return false;
  if (bracketed !== undefined) return isIP(bracketed) === 6 && family !== 4;
  return family === undefined || isIP(plain) === family;
}

/** At least 32 bytes in hexadecimal or base64. */
export const keyBytes: Kind<Uint8Array> = {
  expected: "at least 32 random bytes in base64 or hexadecimal, such as `openssl rand -base64 32` prints",
  parse(value) {
    const isHex = /^([0-9a-fA-F]{2})+$/.test(value);
    const isBase64 = /^[\w+/-]+={0,2}$/.test(value);
    if (!isHex && !isBase64) return undefined;
    const bytes = Buffer.from(value, isHex ? "hex" : "base64");
    return bytes.length >= 32 ? bytes : undefined;
  },
};

function isUrl(value: string, protocols: readonly string[]): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname } = new URL(value);
  return protocols.includes(protocol.slice(0, -1)) && hostname !== "";
}

function redactPassword(value: string): string {
  const redacted = new URL(value.trim());
  if (redacted.password !== "") redacted.password = "redacted";
  return redacted.toString();
}
