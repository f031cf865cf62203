/**
 * MySQL addresses in the form `mysql://user:password@host:port/database`, which Torrust's schema 2.0.0 and its flat
 * layout write into the database's `path`. Special characters in user and password are percent-encoded.
 */

/** The parts of a MySQL URL; `port` is 3306 when the URL names none. */
export interface MysqlUrl {
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string;
  /** True when something follows a `?`: this tracker has no use for it and says so. */
  readonly hasParameters: boolean;
}

/** The port of a MySQL server that names none. */
export const defaultMysqlPort = 3306;

/** Tells a URL from a file's path. */
export function isMysqlUrl(text: string): boolean {
  return text.startsWith('mysql://');
}

/** Takes a MySQL URL apart; undefined when it is none, or names no host or no database. */
export function matchMysqlUrl(text: string): MysqlUrl | undefined {
  if (!isMysqlUrl(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const user = decode(url.username);
  const password = decode(url.password);
  const database = decode(url.pathname.slice(1));
  if (user === undefined || password === undefined || !database || url.hostname === '' || url.hash !== '') {
    return undefined;
  }
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? defaultMysqlPort : Number(url.port),
    user: user === '' ? undefined : user,
    password: password === '' ? undefined : password,
    database,
    hasParameters: url.search !== '',
  };
}

/**
 * Replaces the password of a MySQL URL by `***`. Any other text stays as it is. Works on URLs that cannot be
 * parsed as well, since exactly those are shown in errors: whatever stands between the first colon and the last `@` goes.
 */
export function maskMysqlUrl(text: string): string {
  return text.replace(/^(mysql:\/\/[^:@]*):.*@/s, '$1:***@');
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
