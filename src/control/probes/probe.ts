/**
 * Asks one endpoint once whether it is well: a GET on a connection of its own, so that it is known whether anybody accepts
 * one, by the endpoint's own TLS settings, within one time for all of it. A redirect is an answer and is not followed; of
 * a body no more than BODY_BYTES_MAX is read. With `deny_private` no private address is connected to, whatever
 * a name says. Runs on the control thread and keeps no process alive.
 */
import { type IncomingMessage, type RequestOptions, request as requestInTheClear } from 'node:http'
import { request as requestByTls } from 'node:https'
import { checkServerIdentity, createSecureContext, type SecureContext } from 'node:tls'
import type { Endpoint, EndpointTls, HealthSettings } from '../../domain/routes.ts'
import { addressBytes, isPrivateAddress } from '../../kernel/private-address.ts'

/** A longer answer is judged by its head. */
export const BODY_BYTES_MAX = 64 * 1024
const HEADER_BYTES_MAX = 16 * 1024
const INTERIMS_MAX = 16

export interface ProbeAnswer {
  /** `neutral`: it could not be asked, for reasons of our own; that says nothing of the endpoint. */
  readonly verdict: 'passed' | 'failed' | 'neutral'
  /** `answered 503`, `connect ECONNREFUSED …`: what comes behind the path in a sentence. */
  readonly detail: string
}

/** The addresses that a name has, or the problem with finding out; as the lanes ask for them. */
export type AddressesOf = (
  host: string,
  told: (problem: string | null, addresses: readonly string[]) => void,
) => void

/** Asks once; `done` is called once, never inside the call, and not after the returned function was called. */
export type Ask = (done: (answer: ProbeAnswer) => void) => () => void

export function probeOf(endpoint: Endpoint, health: HealthSettings, addressesOf: AddressesOf): Ask {
  const options = optionsOf(endpoint, health, addressesOf)
  const { tls } = endpoint
  // Made once: reading authorities takes milliseconds.
  let context: SecureContext | undefined
  return (done) => {
    if (isDenied(endpoint)) return soon(done, refusedAddress(endpoint.host))
    if (tls === null) return ask(() => requestInTheClear(options), health, done)
    return ask(
      () => {
        // Passed through to the connection, as all options are; the declared types do not know it.
        const byTls = { ...options, ...tlsOptions(tls), secureContext: secure(tls) }
        return requestByTls(byTls)
      },
      health,
      done,
    )
  }

  function secure({ ca, cert, key }: EndpointTls): SecureContext {
    context ??= createSecureContext({
      ...(ca === null ? {} : { ca }),
      ...(cert === null || key === null ? {} : { cert, key }),
    })
    return context
  }
}

function optionsOf(endpoint: Endpoint, { path }: HealthSettings, addressesOf: AddressesOf): RequestOptions {
  const { host, port, socketPath, authority, denyPrivate } = endpoint
  return {
    method: 'GET',
    path,
    ...(socketPath === null ? { host, port } : { socketPath }),
    lookup: lookupBy(addressesOf, denyPrivate) as NonNullable<RequestOptions['lookup']>,
    headers: { host: authority, accept: '*/*', 'user-agent': 'modelgate-health' },
    agent: false,
    maxHeaderSize: HEADER_BYTES_MAX,
  }
}

/** As forward/endpoint-tls.ts does: an address is no server name, but the certificate is held against it. */
function tlsOptions({ serverName, verify }: EndpointTls) {
  const isAddress = addressBytes(serverName) !== undefined
  return {
    servername: isAddress ? '' : serverName,
    rejectUnauthorized: verify,
    checkServerIdentity: (_: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
      checkServerIdentity(serverName, certificate),
  }
}

function ask(
  begin: () => ReturnType<typeof requestInTheClear>,
  { timeoutMs, expect }: HealthSettings,
  done: (answer: ProbeAnswer) => void,
): () => void {
  let request: ReturnType<typeof requestInTheClear>
  try {
    request = begin()
  } catch (error) {
    return soon(done, lost(error as Error))
  }
  let isOver = false
  const leave = (): boolean => {
    const isFirst = !isOver
    isOver = true
    clearTimeout(timer)
    request.destroy()
    return isFirst
  }
  const conclude = (answer: ProbeAnswer): void => {
    if (leave()) done(answer)
  }
  const fail = (detail: string): void => conclude({ verdict: 'failed', detail })
  // Timers come before sockets in a turn of the loop: where this thread was held up, the answer may lie there unread.
  const timer = setTimeout(() => {
    setImmediate(() => setImmediate(() => fail(`did not answer within ${timeoutMs} ms`)))
  }, timeoutMs)
  timer.unref()
  request.on('socket', (socket) => socket.unref())
  let interims = 0
  request.on('information', () => {
    interims += 1
    if (interims > INTERIMS_MAX) fail(`sent more than ${INTERIMS_MAX} interim answers`)
  })
  let hasHead = false
  request.on('response', (response) => {
    hasHead = true
    read(response, {
      ended: () => conclude(judged(response, expect)),
      broke: () => fail('broke off its answer'),
    })
  })
  request.on('error', (error) => conclude(lost(error)))
  request.on('close', () => {
    // The end of an answer without a length is told only after this.
    if (!hasHead) fail('closed the connection before it had answered')
  })
  request.end()
  return () => void leave()
}

function read(response: IncomingMessage, { ended, broke }: Record<'ended' | 'broke', () => void>): void {
  let bytes = 0
  response.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) ended()
  })
  response.on('end', ended)
  response.on('error', broke)
  response.on('close', () => (response.complete ? ended() : broke()))
}

function judged({ statusCode = 0 }: IncomingMessage, expect: readonly number[]): ProbeAnswer {
  const isGood = expect.length === 0 ? statusCode >= 200 && statusCode <= 299 : expect.includes(statusCode)
  return { verdict: isGood ? 'passed' : 'failed', detail: `answered ${statusCode}` }
}

function isDenied({ denyPrivate, socketPath, host }: Endpoint): boolean {
  return denyPrivate && socketPath === null && addressBytes(host) !== undefined && isPrivateAddress(host)
}

function refusedAddress(host: string): ProbeAnswer {
  const detail = `is at a private address (${host}), which upstream.deny_private refuses`
  return { verdict: 'failed', detail }
}

interface Found {
  readonly address: string
  readonly family: number
}

type Lookup = (
  host: string,
  options: { readonly all?: boolean },
  found: (error: Error | null, addresses: string | Found[], family?: number) => void,
) => void

/** In the form that sockets want. */
function lookupBy(addressesOf: AddressesOf, denyPrivate: boolean): Lookup {
  return (host, { all = false }, found) =>
    addressesOf(host, (problem, addresses) => {
      if (problem !== null) return found(Object.assign(new Error(problem), { syscall: RESOLVING }), [])
      const open = addresses.filter((address) => !denyPrivate || !isPrivateAddress(address)).map(withFamily)
      const [first] = open
      if (first === undefined) found(new Error(refusedAddress(host).detail), [])
      else if (all) found(null, open)
      else found(null, first.address, first.family)
    })
}

function withFamily(address: string): Found {
  return { address, family: address.includes(':') ? 6 : 4 }
}

function soon(done: (answer: ProbeAnswer) => void, answer: ProbeAnswer): () => void {
  const turn = setImmediate(() => done(answer))
  return () => clearImmediate(turn)
}

type SystemError = Error & {
  readonly code?: string
  readonly syscall?: string
  readonly errors?: readonly Error[]
}

const RESOLVING = 'getaddrinfo'

/** Of this machine and not of an endpoint: no descriptor, port or memory left. */
const OUR_ERRORS = ['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM']

/** A name that does not resolve is ours, too: requests go on with the addresses it had last. */
function lost(error: SystemError): ProbeAnswer {
  const isOurs = OUR_ERRORS.includes(error.code ?? '') || error.syscall === RESOLVING
  return { verdict: isOurs ? 'neutral' : 'failed', detail: describe(error) }
}

/** Node joins what each address of a name said in an error without a message. */
function describe({ message, errors, code, name }: SystemError): string {
  if (message !== '') return message
  return errors?.map((one) => one.message).join('; ') ?? code ?? name
}
