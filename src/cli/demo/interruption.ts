/**
 * Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends the process at once. Handlers are
 * there only from the call until `end`.
 */
export interface Interruption {
  /** Resolves to the signal in words; never otherwise. */
  readonly happened: Promise<Error>
  end(): void
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
/** As shells report a program that was interrupted. */
const INTERRUPTED = 130

export function interruption(): Interruption {
  let happen: (error: Error) => void = () => {}
  let isFirst = true
  const heard = (name: NodeJS.Signals): void => {
    if (!isFirst) process.exit(INTERRUPTED)
    isFirst = false
    happen(new Error(`interrupted by ${name}`))
  }
  for (const name of SIGNALS) process.on(name, heard)
  return {
    happened: new Promise((resolve) => {
      happen = resolve
    }),
    end() {
      for (const name of SIGNALS) process.removeListener(name, heard)
    },
  }
}
