/**
 * What the main thread and the database thread say to each other. The main thread sends calls, each with an id and a
 * deadline; the database thread answers each call once, and reports on its own when its state changes.
 */
import type { DatabaseFailure } from './error.ts';
import type {
  DatabaseOptions,
  DatabaseState,
  DatabaseTiming,
  LoadedTable,
  MysqlCredentials,
  StoredKey,
} from './model.ts';

/** What the database can be asked; `client.ts` documents each. */
export interface Operations {
  loadKeys(): Promise<StoredKey[]>;
  addKey(key: StoredKey): Promise<void>;
  removeKey(key: string): Promise<boolean>;
  loadWhitelist(): Promise<string[]>;
  addToWhitelist(infoHash: string): Promise<void>;
  removeFromWhitelist(infoHash: string): Promise<void>;
  loadCompleted(infoHashes: readonly string[]): Promise<Map<string, number>>;
  addCompleted(batchId: string, increments: ReadonlyMap<string, number>): Promise<void>;
  totalCompleted(): Promise<number>;
}

export type OperationName = keyof Operations;

/** One operation with its arguments. `deadlineMillis` is unix time: a call that starts later is dropped. */
export type Call = {
  [Name in OperationName]: {
    readonly kind: 'call';
    readonly id: number;
    readonly name: Name;
    readonly args: Parameters<Operations[Name]>;
    readonly deadlineMillis: number;
  };
}[OperationName];

/**
 * From the main thread. `retry` looks at once for a database that is down; `close` ends the thread when the calls before
 * it are done.
 */
export type Request =
  | Call
  | { readonly kind: 'credentials'; readonly credentials: MysqlCredentials }
  | { readonly kind: 'retry' }
  | { readonly kind: 'close' };

/** From the database thread. `opened` or `unopenable` comes first, once. */
export type Response =
  | { readonly kind: 'opened'; readonly state: DatabaseState }
  | { readonly kind: 'unopenable'; readonly failure: DatabaseFailure }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: DatabaseFailure }
  | { readonly kind: 'state'; readonly state: DatabaseState }
  | { readonly kind: 'skipped'; readonly table: LoadedTable; readonly count: number };

/** What the database thread starts with. */
export interface WorkerData {
  readonly options: DatabaseOptions;
  readonly timing: DatabaseTiming;
}
