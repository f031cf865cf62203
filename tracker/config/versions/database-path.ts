/** How older layouts name the database: one `path` that is a file for SQLite and a URL for MySQL. */
import { matchMysqlUrl } from '../mysql-url.ts';
import type { DatabaseConfigInput } from '../schema.ts';

/**
 * The canonical table of a database. A URL is taken apart when it says everything; otherwise it stays, and the rules of the
 * canonical configuration say what is wrong with it.
 */
export function translateDatabase(
  driver: 'sqlite3' | 'mysql',
  path: string,
): { table: DatabaseConfigInput; warnings: string[] } {
  const url = driver === 'mysql' ? matchMysqlUrl(path) : undefined;
  if (url?.user === undefined) return { table: { driver, path }, warnings: [] };
  return {
    table: {
      driver,
      host: url.host,
      port: url.port,
      user: url.user,
      ...(url.password === undefined ? {} : { password: url.password }),
      database: url.database,
    },
    warnings: url.hasParameters ? ['the database: what follows the ? of the URL is not used'] : [],
  };
}
