/** What a command may print to. Commands never touch the process itself, so tests run them in-process. */
export interface Io {
  stdout(text: string): void
  stderr(text: string): void
  /** Escape sequences are welcome on stdout. */
  readonly color: boolean
  /** Width of the terminal behind stdout, where there is one. */
  readonly columns?: number | undefined
  /** Shows one line of how far it is, in place of the one before; empty: nothing. Absent where stderr is no terminal. */
  progress?(text: string): void
}
