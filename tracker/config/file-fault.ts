/** Why a file can't be read, in words for people: one reading of the system's codes for every kind of file that is named. */

/** Tells an error of the file system in a few words; any other error by its code or its own text, in one line. */
export function fileFault(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'it does not exist';
    case 'EACCES':
      return 'the tracker may not read it';
    case 'EISDIR':
      return 'it is a folder';
    case 'ENOTDIR':
      return 'it is no folder';
    default:
      return String(code ?? error).replace(/\s+/g, ' ');
  }
}
