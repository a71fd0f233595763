// Runs the identity module for tests of accounts: registers users by their mails, and calls methods as a user.
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  AccountService,
  type RegisterRequestSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { canonicalEmail, randomIds, type SessionId } from "@muster/core";
import type { Database, Engine } from "@muster/db";
import { identityModule } from "@muster/service-identity";
import { FakeClock, WatchedDatabase } from "@muster/testkit";
import {
  type CallAs,
  type ModuleOptions,
  type ModuleParts,
  ModuleUnderTest,
  startParts,
} from "@muster/testkit/module";
import type { User } from "../../src/users/user.ts";
import { findUserByEmail } from "../../src/users/user-store.ts";

const { register, verifyEmail } = AccountService.method;

export const PASSWORD = "correct horse battery staple";
export const NEW_PASSWORD = "four other words of it";

type Registration = Partial<MessageInitShape<typeof RegisterRequestSchema>>;

export class AccountHarness extends ModuleUnderTest {
  override readonly clock: FakeClock;
  /** Records the statements of the module. */
  readonly watched: WatchedDatabase;
  /** The key of the module for mails. */
  readonly mailKey: Uint8Array;
  #addresses = 0;

  private constructor(parts: ModuleParts, clock: FakeClock, watched: WatchedDatabase) {
    super(parts);
    this.clock = clock;
    this.watched = watched;
    this.mailKey = parts.platform.ownKey("mail");
  }

  static async open(
    engine: Engine,
    options: Pick<ModuleOptions, "beside" | "callers" | "exclusive" | "wrap"> = {},
    clock = new FakeClock(),
  ): Promise<AccountHarness> {
    const watched = new WatchedDatabase();
    const wrap = (database: Database): Database => watched.wrap(options.wrap?.(database) ?? database);
    const parts = await startParts(identityModule, engine, { ...options, clock, wrap });
    return new AccountHarness(parts, clock, watched);
  }

  /** Moves the wall clock alone, because the workers would run for every second of a day. */
  later(ms: number): void {
    this.clock.setNowMs(this.clock.nowMs() + ms);
  }

  /** An address that no other call returns. */
  newAddress(): string {
    this.#addresses += 1;
    return `user${this.#addresses}@example.com`;
  }

  async register(email: string, registration: Registration = {}, as: CallAs = {}): Promise<void> {
    await this.call(register, { email, password: PASSWORD, name: "Ada", ...registration }, as);
  }

  /** Registers, and follows the link of the mail. */
  async newUser(email = this.newAddress(), registration: Registration = {}): Promise<User> {
    await this.register(email, registration);
    await this.call(verifyEmail, { token: await this.mails.nextToken(email) });
    return this.userOf(email);
  }

  async userOf(email: string): Promise<User> {
    const user = await this.findUser(email);
    if (user === undefined) throw new Error(`${email} has no account`);
    return user;
  }

  findUser(email: string): Promise<User | undefined> {
    return findUserByEmail(this.database.reader, canonicalEmail(email));
  }

  /** The caller who entered the password just now. */
  as({ id }: User, sessionId: SessionId = randomIds.next(0)): CallAs {
    return { user: { id, sessionId, authenticatedMs: this.clock.nowMs() } };
  }

  /** Whether the password opens the account, by its stored hash. */
  async hasPassword(email: string, password: string): Promise<boolean> {
    const { passwordHash } = await this.userOf(email);
    const { verify } = await import("@node-rs/argon2");
    return passwordHash !== undefined && verify(passwordHash, password);
  }
}
