/** A listener on the native event loop, which all listeners of a thread share and so close together. */
import type { OpenedListener } from '../listener.ts';

export interface NativeListener extends OpenedListener {
  /** Takes no more requests, and answers those that have come whole. Called once. */
  stopIntake(): void;
  /** Whether nothing is left to be answered or sent, after `stopIntake`. */
  isIdle(): boolean;
  /** Drops what is left. */
  end(): void;
}
