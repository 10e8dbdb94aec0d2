/**
 * Timeouts of a model whose timeouts are not what a test is about: no stall of a machine comes near them. The defaults
 * are made for production, where a model that takes two seconds is ill.
 */
export const PATIENT =
  'timeouts = { queue = "60s", connect = "60s", first_byte = "60s", idle = "60s", total = "120s" }'
