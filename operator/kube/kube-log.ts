/**
 * Where this room writes what it does: any log of the shape of pino's.
 */

/** Takes the fields of a line, and its sentence. */
export type WriteLine = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** A log. An error goes into the field `err`. */
export interface KubeLog {
  readonly debug: WriteLine;
  readonly info: WriteLine;
  readonly warn: WriteLine;
  readonly error: WriteLine;
}
