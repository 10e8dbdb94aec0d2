/**
 * Where a thread's entry file is: beside the caller, with the caller's own ending, so that the same
 * line works for the built `.js` files and for sources run unbuilt by newer Node versions.
 */
export function entryBeside(callerUrl: string, name: string): URL {
  const ending = callerUrl.endsWith('.ts') ? '.ts' : '.js'
  return new URL(`${name}${ending}`, callerUrl)
}
