/** A version is either somewhere else (endpoints) or here (runtime and file), and says nothing of the other kind. */
import { protocolOf, RUNTIME_NAMES } from '../registries.ts'
import type { CheckedModel } from '../schema-model.ts'
import type { ModelScope } from './scope.ts'

type CheckedVersion = CheckedModel['versions'][string]

const REMOTE_ONLY = ['balance', 'health', 'slow_start', 'rename', 'tls', 'pipeline'] as const

export function checkVersions(scope: ModelScope): void {
  if (scope.versionNames.length === 0 && scope.isSound('versions')) {
    scope.error(scope.isWritten('versions') ? ['versions'] : [], 'the model has no versions', {
      expected: `at least one table [models.${scope.name}.versions.NAME]`,
      on: 'key',
    })
  }
  for (const [name, version] of Object.entries(scope.model.versions)) checkVersion(scope, name, version)
}

function checkVersion(scope: ModelScope, name: string, version: CheckedVersion): void {
  const at = ['versions', name]
  const remote = scope.isWritten(...at, 'endpoints')
  const local = scope.isWritten(...at, 'runtime') || scope.isWritten(...at, 'file')
  if (remote && local) {
    scope.error(
      [...at, scope.isWritten(...at, 'runtime') ? 'runtime' : 'file'],
      'a version is either remote or local, not both',
      {
        expected: 'endpoints, or runtime and file',
        on: 'key',
      },
    )
    return
  }
  if (!remote && !local) {
    // An unknown key in an otherwise empty version is likely the misspelt one; it was reported already.
    if (!scope.isSound(...at)) return
    scope.error(at, 'the version has neither endpoints nor a runtime', {
      expected: 'endpoints = ["http://HOST:PORT"], or runtime and file',
      on: 'key',
    })
    return
  }
  if (local) checkLocal(scope, at)
  else checkRemote(scope, at, version)
}

function checkLocal(scope: ModelScope, at: string[]): void {
  for (const key of ['runtime', 'file']) {
    if (scope.isWritten(...at, key)) continue
    scope.error(at, `a local version needs ${key}`, {
      expected:
        key === 'file'
          ? 'file = "models/…", the model’s file'
          : `runtime = ${RUNTIME_NAMES.map((name) => JSON.stringify(name)).join(' or ')}`,
      on: 'key',
    })
  }
  for (const key of REMOTE_ONLY) {
    if (!scope.isWritten(...at, key)) continue
    scope.error([...at, key], `${key} has no meaning for a local version`, {
      expected: 'a version with endpoints',
      on: 'key',
    })
  }
  const { protocol } = scope.model
  if (protocolOf(protocol)?.servesLocally === false && scope.isSound('protocol')) {
    scope.error(
      [...at, scope.isWritten(...at, 'runtime') ? 'runtime' : 'file'],
      `a local version cannot serve protocol "${protocol}"`,
      {
        expected: 'endpoints, or protocol = "open-inference"',
        on: 'key',
      },
    )
  }
}

function checkRemote(scope: ModelScope, at: string[], version: CheckedVersion): void {
  const seen = new Set<string>()
  for (const [index, endpoint] of (version.endpoints ?? []).entries()) {
    if (seen.has(endpoint.url)) {
      scope.error([...at, 'endpoints', index], `${endpoint.url} is listed twice`, {
        expected: 'each endpoint once',
      })
    }
    seen.add(endpoint.url)
  }
  const { rename } = version
  if (rename === undefined) return
  if (rename.model === undefined && rename.version === undefined && scope.isSound(...at, 'rename')) {
    scope.error([...at, 'rename'], 'rename renames nothing', {
      expected: 'model = "NAME", version = "NAME" or both',
    })
  }
  if (scope.isSound('protocol')) checkRename(scope, [...at, 'rename'], rename)
}

function checkRename(scope: ModelScope, at: string[], rename: NonNullable<CheckedVersion['rename']>): void {
  const { protocol } = scope.model
  const dialect = protocolOf(protocol)
  if (dialect === undefined) return
  if (dialect.renameAnswer === null) {
    scope.error(at, `protocol "${protocol}" passes the path on as it came and renames nothing`, {
      expected: 'no rename, or another protocol',
      on: 'key',
    })
    return
  }
  if (rename.version !== undefined && !dialect.namesVersions) {
    scope.error([...at, 'version'], `protocol "${protocol}" has no word for a version`, {
      expected: 'rename = { model = "NAME" }',
      on: 'key',
    })
  }
  if (rename.model?.includes('/') && dialect.modelIn === null) {
    scope.error(
      [...at, 'model'],
      `protocol "${protocol}" names the model in the path, where "/" ends a name`,
      {
        expected: 'a name without /',
      },
    )
  }
}
