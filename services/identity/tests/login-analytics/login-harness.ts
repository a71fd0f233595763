// Runs replicas of the consumer of logins over one database, with a clock that the test moves.
import { create } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { EmbeddedBus } from "@muster/bus/embedded";
import { LoginMethod } from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { LoginAnalyticsService } from "@muster/contracts/muster/identity/v1/login_analytics_service_pb";
import { assert, type OrganizationId, PageTokens, randomIds, systemClock, type UserId } from "@muster/core";
import type { Database, Engine } from "@muster/db";
import { Metrics } from "@muster/metrics";
import { Outbox, OutboxRelay, ShardConsumer, writeTransaction } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import { CrashingDatabase, FakeClock, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { testLogger } from "@muster/testkit/module";
import type { IdentityDeps } from "../../src/deps.ts";
import { loginRecorded } from "../../src/login/complete-login.ts";
import { getLoginStats } from "../../src/login-analytics/get-login-stats.ts";
import { listTopLogins } from "../../src/login-analytics/list-top-logins.ts";
import { type LoginAnalyticsDeps, waitForLogins } from "../../src/login-analytics/login-analytics-deps.ts";
import { LOGIN_CONSUMER } from "../../src/login-counts/login-consumer.ts";
import { LoginProjection } from "../../src/login-counts/login-projection.ts";
import { insertMembership } from "../../src/memberships/membership-store.ts";
import { newOwner } from "../../src/memberships/new-owner.ts";
import { insertUser } from "../../src/users/user-store.ts";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);
/** After the time of the consumers, which is the machine's: the windows advance only when the test wakes them. */
const START = Date.UTC(2040, 0, 15, 12);
/** Short, so that failures and handovers take little time. */
const TIMINGS = { leaseMs: 600, leaseTickMs: 50, reportMs: 20, quietMs: 200, handoverMs: 0, retryMs: 2 };

export interface LoginReplica {
  readonly consumer: ShardConsumer;
  readonly crashes: CrashingDatabase;
}

export interface Ranked {
  readonly userId: string;
  readonly logins: number;
}

export interface TopLoginsPage {
  readonly rows: readonly Ranked[];
  readonly nextPageToken: string;
  readonly asOfMs: number;
}

export class LoginHarness {
  readonly clock = new FakeClock(START);
  readonly stored: TestDatabase;
  readonly replicas: LoginReplica[] = [];
  readonly #log = testLogger();
  readonly #bus = new EmbeddedBus({ clock: systemClock, log: this.#log });
  readonly #outbox: Outbox;
  readonly #relay: OutboxRelay;
  #names = 0;

  private constructor(stored: TestDatabase) {
    this.stored = stored;
    const common = { ...this.#common(), service: "identity", database: stored.database };
    this.#outbox = new Outbox(common);
    this.#relay = new OutboxRelay({
      ...common,
      outbox: this.#outbox,
      exclusive: true,
      timings: { pollMs: 20 },
    });
  }

  static async open(engine: Engine): Promise<LoginHarness> {
    const harness = new LoginHarness(await openTestDatabase(engine, MIGRATIONS));
    await harness.#outbox.start();
    await harness.#relay.start();
    return harness;
  }

  async close(): Promise<void> {
    for (const { consumer } of this.replicas) await consumer.stop();
    await this.#relay.stop();
    await this.#outbox.stop();
    await this.#bus.close();
    await this.stored.close();
  }

  /** With `exclusive` the replica takes every shard by force, as if the others were frozen. */
  async addReplica({ exclusive = false } = {}): Promise<LoginReplica> {
    const crashes = new CrashingDatabase();
    const database = crashes.wrap(await this.stored.openAnother());
    const consumer = new ShardConsumer({
      ...this.#common(),
      ...LOGIN_CONSUMER,
      database,
      exclusive,
      producer: this.#outbox,
      projection: new LoginProjection({ clock: this.clock, database }),
      timings: TIMINGS,
    });
    await consumer.start();
    const replica = { consumer, crashes };
    this.replicas.push(replica);
    return replica;
  }

  async stopOldest(): Promise<void> {
    await this.replicas.shift()?.consumer.stop();
  }

  /** Ids in ascending order; the users at `strangers` have no membership. */
  async organization(users: number, strangers: readonly number[] = []) {
    const organizationId = randomIds.next<OrganizationId>(START);
    const userIds = Array.from({ length: users }, () => randomIds.next<UserId>(START)).sort();
    await this.stored.database.transaction(async (trx) => {
      for (const [index, id] of userIds.entries()) {
        const email = `${id}@example.com`;
        const user = { ...USER, id, email, emailKey: email };
        await insertUser(trx, user);
        if (!strangers.includes(index)) await insertMembership(trx, newOwner(organizationId, user, START));
      }
    });
    return { organizationId, userIds };
  }

  /** Commits the event of a login at a time; an id that was used before is that of a repeated event. */
  async login(
    organizationId: OrganizationId,
    userId: UserId,
    timeMs: number,
    loginId?: string,
  ): Promise<string> {
    const id = loginId ?? randomIds.next(timeMs);
    const deps = { database: this.stored.database, outbox: this.#outbox, log: this.#log };
    const context = { traceParent: "", saveResponse: async () => {} };
    await writeTransaction(deps, context, async (_trx, write) => {
      const ids = { next: <Id extends string>() => id as Id };
      const method = LoginMethod.PASSWORD;
      write.publish(loginRecorded({ ids }, { organizationId, userId, method, nowMs: timeMs }));
      return create(EmptySchema);
    });
    return id;
  }

  /** Runs the work that is due at the current time. */
  wake(): void {
    for (const { consumer } of this.replicas) consumer.wake();
  }

  /** Resolves once every committed login is applied. */
  async applied(): Promise<void> {
    await waitForLogins(this.#deps(), contextOf(randomIds.next(START)));
  }

  async topLogins(
    organizationId: OrganizationId,
    request: { readonly window?: string; readonly pageSize?: number; readonly pageToken?: string },
  ): Promise<TopLoginsPage> {
    const method = LoginAnalyticsService.method.listTopLogins;
    const message = create(method.input, { window: "7d", ...request });
    const response = create(
      method.output,
      await listTopLogins(this.#deps())(message, contextOf(organizationId)),
    );
    return {
      rows: response.topLogins.map(({ user, loginCount }) => ({
        userId: user?.id ?? "",
        logins: Number(loginCount),
      })),
      nextPageToken: response.nextPageToken,
      asOfMs: Number(response.asOf?.seconds ?? 0n) * 1_000,
    };
  }

  async stats(organizationId: OrganizationId, window: string) {
    const method = LoginAnalyticsService.method.getLoginStats;
    const message = create(method.input, { organizationId, window });
    const response = create(
      method.output,
      await getLoginStats(this.#deps())(message, contextOf(organizationId)),
    );
    return response.days.map(({ date, logins, users }) => ({
      date,
      logins: Number(logins),
      users: Number(users),
    }));
  }

  async rows(table: string): Promise<Record<string, unknown>[]> {
    return this.stored.database.reader(table).select();
  }

  #deps(): LoginAnalyticsDeps {
    const consumer = this.replicas.at(-1)?.consumer;
    assert(consumer !== undefined, "a replica runs");
    const { clock, stored } = this;
    const used: Pick<IdentityDeps, "clock" | "database" | "outbox" | "pageTokens"> = {
      clock,
      database: stored.database as Database,
      outbox: this.#outbox,
      pageTokens: new PageTokens(Buffer.alloc(32, 7)),
    };
    return { ...(used as IdentityDeps), consumer };
  }

  #common() {
    this.#names += 1;
    const metrics = new Metrics();
    const instanceId = `replica-${this.#names}`;
    return { bus: this.#bus, clock: systemClock, ids: randomIds, log: this.#log, metrics, instanceId };
  }
}

const USER = {
  isEmailVerified: true,
  name: "Ada",
  locale: undefined,
  passwordHash: undefined,
  isPasswordResetRequired: false,
  securityVersion: 1,
  lastOrganizationId: undefined,
  createTimeMs: START,
  updateTimeMs: START,
};

function contextOf(organizationId: OrganizationId): CallContext {
  const context: Pick<CallContext, "organizationId" | "eventual" | "deadlineMs" | "signal"> = {
    organizationId,
    eventual: false,
    deadlineMs: undefined,
    signal: new AbortController().signal,
  };
  return context as CallContext;
}
