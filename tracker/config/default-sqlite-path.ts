/** Where SQLite keeps its data when the configuration does not say; apart, for threads that need nothing else of it. */
export const defaultSqlitePath = './storage/tracker/lib/database/sqlite3.db';
