// Declares counts of calls by API keys, and the reports that bring the counts to identity.

/** Keys and dates of one report. */
export const REPORT_ENTRIES_MAX = 500;

/** Calls of a key on one UTC date. */
export interface ApiKeyCalls {
  readonly apiKeyId: string;
  /** Days since 1970. */
  readonly day: number;
  readonly calls: number;
}

export interface ApiKeyUsageReport {
  /** A UUID, made when the reporting process starts. */
  readonly reporterId: string;
  /** A repeat has the number of the first attempt, and is added once. */
  readonly sequence: number;
  readonly calls: readonly ApiKeyCalls[];
}

/** Adds a report to the counts. After a rejection, the report may have been added or not. */
export type AddApiKeyUsage = (report: ApiKeyUsageReport) => Promise<void>;

/** Counts the calls of a process. */
export interface ApiKeyUsage {
  count(apiKeyId: string): void;
}
