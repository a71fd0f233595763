// A REST client as an outsider would write it: fetch, JSON, an API key.

export interface RestResponse {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: the tests assert what the JSON holds.
  readonly body: any;
  readonly text: string;
}

export class RestClient {
  readonly #url: string;
  readonly #apiKey: string | undefined;

  /** Without a key, requests have the credentials of their headers alone. */
  constructor(installation: { readonly url: string; readonly apiKey: string | undefined }) {
    this.#url = installation.url;
    this.#apiKey = installation.apiKey;
  }

  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RestResponse> {
    const response = await fetch(this.#url + path, {
      method,
      headers: {
        ...(this.#apiKey === undefined ? {} : { authorization: `Bearer ${this.#apiKey}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson && text !== "" ? JSON.parse(text) : undefined,
    };
  }

  get(path: string): Promise<RestResponse> {
    return this.request("GET", path);
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<RestResponse> {
    return this.request("POST", path, body, headers);
  }

  /** Every item of a list, page by page. */
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  async all(path: string, items: string, pageSize = 500): Promise<any[]> {
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    const found: any[] = [];
    let token = "";
    do {
      const separator = path.includes("?") ? "&" : "?";
      const page = await this.get(
        `${path}${separator}page_size=${pageSize}${token === "" ? "" : `&page_token=${encodeURIComponent(token)}`}`,
      );
      if (page.status !== 200) throw new Error(`GET ${path} returned ${page.status}: ${page.text}`);
      found.push(...page.body[items]);
      token = page.body.next_page_token;
    } while (token !== "");
    return found;
  }
}
