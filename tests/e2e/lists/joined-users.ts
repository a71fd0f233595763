// Joins users to the organization of an API key: by invitation, registration, verification and logins.
import type { Mailbox } from "../../harness/mailbox.ts";
import { RestClient } from "../../harness/rest.ts";

// biome-ignore lint/suspicious/noExplicitAny: the rows are JSON of any list.
export type Row = any;

const PASSWORD = "correct horse battery";

/** Fails for a response other than a success. */
export async function sent(rest: RestClient, method: string, path: string, body?: object): Promise<Row> {
  const response = await rest.request(method, path, body);
  if (response.status >= 300)
    throw new Error(`${method} ${path} returned ${response.status}: ${response.text}`);
  return response.body;
}

export class JoinedUsers {
  readonly #key: RestClient;
  readonly #visitor: RestClient;
  readonly #mails: Mailbox;
  readonly #run: string;
  #joined = 0;

  constructor(url: string, key: RestClient, mails: Mailbox, run: string) {
    this.#key = key;
    this.#visitor = new RestClient({ url, apiKey: undefined });
    this.#mails = mails;
    this.#run = run;
  }

  /** Returns the id of a new member, who has signed in so many times. */
  async join(logins: number): Promise<string> {
    const { id, email } = await this.#register();
    for (let login = 0; login < logins; login += 1) await this.#login(email);
    return id;
  }

  /** Returns the sign-in of a new member. Each call returns the access token of a new session. */
  async newLogin(): Promise<() => Promise<string>> {
    const { email } = await this.#register();
    return () => this.#login(email);
  }

  async #register(): Promise<{ readonly id: string; readonly email: string }> {
    this.#joined += 1;
    const email = `joined.${this.#run}.${this.#joined}@example.test`;
    const user = { email, name: `Joined ${this.#joined}` };
    const { id } = await sent(this.#key, "POST", "/v1/users", { ...user, role: "member" });
    const invitation_token = await this.#mails.nextToken(email);
    await sent(this.#visitor, "POST", "/v1/register", { ...user, password: PASSWORD, invitation_token });
    await sent(this.#visitor, "POST", "/v1/verify-email", { token: await this.#mails.nextToken(email) });
    return { id, email };
  }

  async #login(email: string): Promise<string> {
    return (await sent(this.#visitor, "POST", "/v1/login", { email, password: PASSWORD })).access_token;
  }
}
