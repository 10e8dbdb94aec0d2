/** What a version says of the way to its endpoints: TLS where there is TLS, nothing private where that is denied. */
import { isPrivateAddress } from '../../../kernel/private-address.ts'
import type { CheckedModel } from '../schema-model.ts'
import type { ModelScope } from './scope.ts'

type CheckedVersion = CheckedModel['versions'][string]

const ADDRESS = /^[0-9.]+$|:/

export function checkEndpoints(scope: ModelScope, denyPrivate: boolean): void {
  for (const [name, version] of Object.entries(scope.model.versions)) {
    const at = ['versions', name]
    if (denyPrivate) checkPublic(scope, at, version)
    if (version.tls !== undefined) checkTls(scope, at, version)
  }
}

/** Names are looked at when they are connected to: what they say may change. */
function checkPublic(scope: ModelScope, at: string[], version: CheckedVersion): void {
  for (const [index, { scheme, host, url }] of (version.endpoints ?? []).entries()) {
    const isLiteral = scheme !== 'unix' && ADDRESS.test(host)
    const isHere = host === 'localhost' || host.endsWith('.localhost')
    if (!isHere && !(isLiteral && isPrivateAddress(host))) continue
    scope.error([...at, 'endpoints', index], `${url} is a private address, and upstream.deny_private is on`, {
      expected: 'a public address, or deny_private = false; unix: endpoints are not affected',
    })
  }
}

function checkTls(scope: ModelScope, at: string[], version: CheckedVersion): void {
  const { tls, endpoints = [] } = version
  if (tls === undefined || !scope.isSound(...at, 'tls')) return
  if (endpoints.length > 0 && !endpoints.some(({ scheme }) => scheme === 'https')) {
    scope.error([...at, 'tls'], 'tls has no meaning: no endpoint of this version is https://', {
      expected: 'an https:// endpoint, or no tls',
      on: 'key',
    })
  }
  for (const [one, other] of [
    ['cert', 'key'],
    ['key', 'cert'],
  ] as const) {
    if (tls[one] === undefined || tls[other] !== undefined) continue
    scope.error([...at, 'tls'], `tls.${one} needs tls.${other} beside it`, {
      expected: 'cert and key, or neither',
    })
  }
  if (tls.verify) return
  scope.warning(
    [...at, 'tls', 'verify'],
    'anybody can pose as this endpoint: its certificate is not verified',
    {
      expected: 'true, with tls.ca naming the authority that signed the certificate',
    },
  )
}
