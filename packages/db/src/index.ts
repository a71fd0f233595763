export { createDatabaseIfAbsent, dropDatabase } from "./create-database.ts";
export * from "./database.ts";
export { isUniqueViolation, PRIMARY_KEY, UniqueViolation } from "./faults.ts";
export { insertRows } from "./insert-rows.ts";
export { migrate, migrationStatus } from "./migrate.ts";
export { type MysqlOptions, openMysql } from "./mysql-database.ts";
export { forUpdate, type OrderColumn, pageAfter } from "./queries.ts";
export * from "./schema.ts";
export { openSqlite, type SqliteOptions } from "./sqlite-database.ts";
