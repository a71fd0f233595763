// A partner as an outsider would write it: a key, and an HMAC over the time and the body.
import { createHmac } from "node:crypto";
import type { Installation } from "./installation.ts";
import { runMuster } from "./process.ts";
import type { RestResponse } from "./rest.ts";
import { RestClient } from "./rest.ts";

const PATH = "/v1/provisioning/organizations";

export class Partner {
  readonly #rest: RestClient;
  readonly key: string;
  readonly #secret: string;

  private constructor(installation: Installation, key: string, secret: string) {
    this.#rest = new RestClient({ url: installation.url, apiKey: undefined });
    this.key = key;
    this.#secret = secret;
  }

  /** Created by the command line, as an operator does. */
  static async create(installation: Installation, name: string): Promise<Partner> {
    const { code, stdout, stderr } = await runMuster(
      ["create-partner", "--name", name],
      installation.variables,
    );
    const [, key, secret] = /^key=(\S+)\nsecret=(\S+)\n$/.exec(stdout) ?? [];
    if (code !== 0 || key === undefined || secret === undefined) {
      throw new Error(`muster create-partner failed: ${stderr}`);
    }
    return new Partner(installation, key, secret);
  }

  /** `ageSeconds` is how long ago the body was signed. */
  signature(body: string, ageSeconds = 0): string {
    const time = Math.floor(Date.now() / 1000) - ageSeconds;
    return `t=${time},v1=${createHmac("sha256", this.#secret).update(`${time}.${body}`).digest("hex")}`;
  }

  provision(body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<RestResponse> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const own = { "x-api-key": this.key, "x-signature": this.signature(text) };
    return this.#rest.post(PATH, text, { ...own, ...headers });
  }
}
