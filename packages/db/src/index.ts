export { createDatabaseIfAbsent, dropDatabase } from "./engines/create-database.ts";
export { insertRows } from "./engines/insert-rows.ts";
export { type MysqlOptions, openMysql } from "./engines/mysql-database.ts";
export { paddedValues, selectPrepared } from "./engines/select-prepared.ts";
export { openSqlite, type SqliteOptions } from "./engines/sqlite-database.ts";
export { DifferentSchema, requireMigratedSchema } from "./migrations/compare-schema.ts";
export { migrate, migrationStatus, UnknownMigration } from "./migrations/migrate.ts";
export * from "./migrations/schema.ts";
export * from "./port/database.ts";
export { isBlocked, isUniqueViolation, PRIMARY_KEY, UniqueViolation } from "./port/database-errors.ts";
export {
  forUpdate,
  forUpdateNoWait,
  IN_LIST_VALUES_MAX,
  type OrderColumn,
  pageAfter,
} from "./port/queries.ts";
