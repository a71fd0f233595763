// Replaces values that differ between runs, and unreadable values, by names.

const PAGE_TOKEN = /("(?:nextPageToken|pageToken|resumeToken)": ?)"[^"]+"/g;
/** The token of a mail. */
const MAIL_TOKEN = /("token": ?)"([A-Za-z0-9_-]{43})"/g;
/** The tokens of a session. */
const SESSION_TOKEN = /("(?:accessToken|refreshToken|deviceToken)": ?)"([^"]{43,})"/g;
/** Each script has an owner of its own. */
const OWNER = /\bada-\d+\b/g;
const SECRET = /mk_(?:live_)?[A-Za-z0-9_-]{43}(?:[A-Za-z0-9]{6})?/g;
const SECRET_PREFIX = /mk_(?:live_)?[A-Za-z0-9_-]{8}(?![A-Za-z0-9_-])/g;
/** 32 bytes in base64url, in a JSON Web Key. */
const KEY_COORDINATE = /("[xy]": ?)"[A-Za-z0-9_-]{43}"/g;
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
/** 16 bytes in base64. */
const BASE64_ID = /(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{22}==/g;
/** 16 bytes in base64url, as in the state of a profile: ids, and hashes, which stay. */
const BASE64URL_ID = /(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])/g;
/** 32 bytes in base64. */
const BASE64_HASH = /(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=/g;
/** UUIDv7 in hexadecimal digits, also within longer text. */
const HEX_ID = /019[0-9a-f]{9}7[0-9a-f]{3}[89ab][0-9a-f]{15}/g;
const ISO_INSTANT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
const EPOCH_MS = /(?<![\d.-])1[678]\d{11}(?!\d)/g;

/** UTC dates of logins, which depend on how far earlier scripts moved the clock. */
const LOGIN_DATE = /("date": ?)"\d{4}-\d\d-\d\d"/g;
const LOGIN_DAY = /\bday=\d{5}\b/g;

export interface NormalizerOptions {
  /** Epoch ms. Instants are written as the distance from this start, in seconds. */
  readonly startMs: number;
  /** The name of an id that the harness made; undefined for all other ids. */
  readonly nameOfId: (hex: string) => string | undefined;
}

export class Normalizer {
  readonly #options: NormalizerOptions;
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  constructor(options: NormalizerOptions) {
    this.#options = options;
  }

  normalize(text: string): string {
    return text
      .replace(LOGIN_DATE, '$1"<date>"')
      .replace(LOGIN_DAY, "day=<day>")
      .replace(PAGE_TOKEN, '$1"<token>"')
      .replace(KEY_COORDINATE, '$1"<coordinate>"')
      .replace(MAIL_TOKEN, (_, name, token) => `${name}"${this.#name("token", token)}"`)
      .replace(SESSION_TOKEN, (_, name, token) => `${name}"${this.#name("token", token)}"`)
      .replace(OWNER, "ada")
      .replace(SECRET, (secret) => this.#name("secret", secret))
      .replace(SECRET_PREFIX, (prefix) => this.#name("prefix", prefix))
      .replace(BASE64_ID, (base64) => this.#id(Buffer.from(base64, "base64").toString("hex")))
      .replace(BASE64_HASH, (base64) => this.#name("hash", base64))
      .replace(UUID, (uuid) => this.#id(uuid.replaceAll("-", "")))
      .replace(HEX_ID, (hex) => this.#id(hex))
      .replace(
        BASE64URL_ID,
        (text) => this.#options.nameOfId(Buffer.from(text, "base64url").toString("hex")) ?? text,
      )
      .replace(ISO_INSTANT, (instant) => this.#instant(Date.parse(instant)))
      .replace(EPOCH_MS, (ms) => this.#instant(Number(ms)));
  }

  #id(hex: string): string {
    return this.#options.nameOfId(hex) ?? this.#name("id", hex);
  }

  #instant(ms: number): string {
    const seconds = (ms - this.#options.startMs) / 1000;
    return `<T${seconds < 0 ? "" : "+"}${seconds}s>`;
  }

  #name(kind: string, value: string): string {
    const key = `${kind}/${value}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    const name = `<${kind}-${number}>`;
    this.#names.set(key, name);
    return name;
  }
}
