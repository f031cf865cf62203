/** Something in the world that keeps the tracker from starting. The message is one line for the user. */
export class StartError extends Error {
  override readonly name: string = 'StartError';
  /** Whether what the user wrote is to be mended, and not the world around it. */
  readonly isUsage: boolean;

  constructor(message: string, options: ErrorOptions & { readonly isUsage?: boolean } = {}) {
    super(message, options);
    this.isUsage = options.isUsage ?? false;
  }
}
