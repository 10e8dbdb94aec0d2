/** What a test's configuration says of time where time is not its subject: a machine that stalls for seconds is waited for. */

/** For every timer of an attempt. */
export const PATIENCE = 'queue = "20s", connect = "20s", first_byte = "20s", idle = "20s", total = "20s"'

/** Of a `[models.<name>]`: nothing runs out, and no slow answer counts against its version. */
export const PATIENT = `timeouts = { ${PATIENCE} }\nbreaker = { slow_after = "20s" }`
