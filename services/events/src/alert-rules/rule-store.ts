// Stores alert rules: every statement against `alert_rule_sets` and `alert_rules`.
import { bytesToUuid, chunksOf, type OrganizationId, uuidToBytes } from "@muster/core";
import {
  forUpdate,
  insertRows,
  paddedValues,
  type Queryable,
  selectPrepared,
  type Transaction,
  type Value,
} from "@muster/db";
import { type AlertRule, defaultRules, type RuleKind, ruleKindNumbers } from "./alert-rule.ts";
import { type RuleSet, ruleSet, type SeriesStarts, seriesStartsOf } from "./rule-set.ts";

const SET_COLUMNS = ["organization_id", "version", "series"];
const RULE_COLUMNS = [
  "organization_id",
  "rule_id",
  "code",
  "name",
  "kind",
  "event_name",
  "other_event_names",
  "property",
  "threshold",
  "count",
  "window_seconds",
  "is_enabled",
  "version",
  "create_ms",
  "update_ms",
] as const;
/** Values of a prepared IN list. */
const PREPARED_VALUES_MAX = 512;

interface SetRow {
  readonly set_version: number;
  readonly series: string;
}

interface RuleRow {
  readonly rule_id: Buffer;
  readonly code: number;
  readonly name: Buffer;
  readonly kind: number;
  readonly event_name: Buffer;
  readonly other_event_names: string;
  readonly property: Buffer | null;
  readonly threshold: Buffer | null;
  readonly count: number | null;
  readonly window_seconds: number | null;
  readonly is_enabled: number;
  readonly version: number;
  readonly create_ms: number | null;
  readonly update_ms: number | null;
}

/** The joined row of an organization without rules. */
interface NoRule {
  readonly rule_id: null;
}

/** Reads the rule set versions of organizations that changed a rule at least once. */
export async function readVersions(
  trx: Transaction,
  organizationIds: readonly OrganizationId[],
): Promise<Map<OrganizationId, number>> {
  const versions = new Map<OrganizationId, number>();
  for (const ids of chunksOf(organizationIds, PREPARED_VALUES_MAX)) {
    const requested = paddedValues(ids.map(uuidToBytes));
    const rows = await selectPrepared<{ organization_id: Buffer; version: number }>(
      trx,
      `select organization_id, version from alert_rule_sets where organization_id in (?${", ?".repeat(requested.length - 1)})`,
      requested,
    );
    for (const row of rows) versions.set(bytesToUuid(row.organization_id), Number(row.version));
  }
  return versions;
}

/** Reads the current rules. */
export async function readRules(db: Queryable, organizationId: OrganizationId): Promise<RuleSet> {
  // One statement reads one version: a rule evaluated with the series of another version would lose the
  // history.
  const rows = await db("alert_rule_sets as sets")
    .leftJoin("alert_rules as rules", "rules.organization_id", "sets.organization_id")
    .select<(SetRow & (RuleRow | NoRule))[]>(
      "sets.version as set_version",
      "sets.series",
      ...RULE_COLUMNS.slice(1).map((column) => `rules.${column}`),
    )
    .where("sets.organization_id", uuidToBytes(organizationId));
  const [first] = rows;
  if (first === undefined || Number(first.set_version) === 0) return defaultRuleSet(organizationId);
  const rules = rows.filter((row): row is SetRow & RuleRow => row.rule_id !== null).map(ruleFromRow);
  return ruleSet(Number(first.set_version), rules, JSON.parse(first.series) as SeriesStarts);
}

/**
 * Locks the rules until the transaction ends and inserts the default rules as rows if needed. Invariant: the
 * transaction calls saveRuleSet before the commit.
 */
export async function lockRules(trx: Transaction, organizationId: OrganizationId): Promise<RuleSet> {
  const key = uuidToBytes(organizationId);
  // An insert that finds the row locks the row.
  await insertRows(trx, "alert_rule_sets", SET_COLUMNS, [[key, 0, "{}"]], "keep", ["organization_id"]);
  await forUpdate(trx, trx("alert_rule_sets").select("version").where("organization_id", key));
  const set = await readRules(trx, organizationId);
  if (set.version === 0) await insertRuleRows(trx, organizationId, set.rules);
  return set;
}

/** The rule set of an organization that never changed a rule: version 0. */
export function defaultRuleSet(organizationId: OrganizationId): RuleSet {
  return ruleSet(0, defaultRules(organizationId), {});
}

export async function insertRule(
  trx: Transaction,
  organizationId: OrganizationId,
  rule: AlertRule,
): Promise<void> {
  await insertRuleRows(trx, organizationId, [rule]);
}

export async function updateRule(
  trx: Transaction,
  organizationId: OrganizationId,
  rule: AlertRule,
): Promise<void> {
  const row = Object.fromEntries(
    RULE_COLUMNS.map((column, index) => [column, toRow(organizationId, rule)[index]]),
  );
  const { organization_id: _, rule_id: __, ...changes } = row;
  await ruleOf(trx, organizationId, rule.id).update(changes);
}

export async function deleteRule(
  trx: Transaction,
  organizationId: OrganizationId,
  ruleId: string,
): Promise<void> {
  await ruleOf(trx, organizationId, ruleId).delete();
}

/** The last step of a change. After the commit every process reads the new rules. */
export async function saveRuleSet(
  trx: Transaction,
  organizationId: OrganizationId,
  before: RuleSet,
  rules: readonly AlertRule[],
  nowMs: number,
): Promise<RuleSet> {
  const version = before.version + 1;
  const seriesStarts = seriesStartsOf(before, rules, { version, ms: nowMs });
  await trx("alert_rule_sets")
    .where("organization_id", uuidToBytes(organizationId))
    .update({ version, series: JSON.stringify(seriesStarts) });
  return ruleSet(version, rules, seriesStarts);
}

async function insertRuleRows(
  trx: Transaction,
  organizationId: OrganizationId,
  rules: readonly AlertRule[],
): Promise<void> {
  const rows = rules.map((rule) => toRow(organizationId, rule));
  rows.sort((a, b) => Buffer.compare(a[1] as Buffer, b[1] as Buffer));
  await insertRows(trx, "alert_rules", RULE_COLUMNS, rows, "fail", ["organization_id", "rule_id"]);
}

function ruleOf(trx: Transaction, organizationId: OrganizationId, ruleId: string) {
  return trx("alert_rules")
    .where("organization_id", uuidToBytes(organizationId))
    .where("rule_id", uuidToBytes(ruleId));
}

function toRow(organizationId: OrganizationId, rule: AlertRule): Value[] {
  return [
    uuidToBytes(organizationId),
    uuidToBytes(rule.id),
    rule.code,
    Buffer.from(rule.name),
    ruleKindNumbers[rule.kind],
    Buffer.from(rule.eventName),
    JSON.stringify(rule.otherEventNames),
    bytesOrNull(rule.property),
    bytesOrNull(rule.threshold),
    rule.count ?? null,
    rule.windowSeconds ?? null,
    rule.isEnabled ? 1 : 0,
    rule.version,
    rule.createMs ?? null,
    rule.updateMs ?? null,
  ];
}

const kinds = new Map(
  Object.entries(ruleKindNumbers).map(([kind, number]) => [number as number, kind as RuleKind]),
);

function ruleFromRow(row: RuleRow): AlertRule {
  const kind = kinds.get(row.kind);
  if (kind === undefined) throw new Error(`unknown kind of alert rule: ${row.kind}`);
  return {
    id: bytesToUuid(row.rule_id),
    code: Number(row.code),
    name: row.name.toString(),
    kind,
    eventName: row.event_name.toString(),
    otherEventNames: JSON.parse(row.other_event_names) as string[],
    property: row.property?.toString(),
    threshold: row.threshold?.toString(),
    count: numberOrUndefined(row.count),
    windowSeconds: numberOrUndefined(row.window_seconds),
    isEnabled: row.is_enabled === 1,
    version: Number(row.version),
    createMs: numberOrUndefined(row.create_ms),
    updateMs: numberOrUndefined(row.update_ms),
  };
}

function bytesOrNull(text: string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text);
}

function numberOrUndefined(value: number | null): number | undefined {
  return value === null ? undefined : Number(value);
}
