/**
 * The form of a table of settings that a registry entry (a strategy) declares beside its code. The
 * configuration's grammar, its JSON Schema, its table of keys and its checks are derived from it, so a
 * new entry touches one folder. Plain data: neither the parser nor its library is known here.
 */
export type Field = FieldKind & {
  /** One sentence for the reference and for editors. */
  readonly about: string
  /** What stands when the key is not written; without it the key must be written. */
  readonly fallback?: SettingValue
}

type FieldKind =
  /** The name of a version of the same model; refused when there is none of that name. */
  | { readonly kind: 'version' }
  | { readonly kind: 'versions' }
  /** 0 to 100, fractions allowed. */
  | { readonly kind: 'percent' }
  | { readonly kind: 'whole'; readonly min: number; readonly max: number }
  | { readonly kind: 'flag' }
  | { readonly kind: 'text' }
  | { readonly kind: 'texts' }
  /** Name of a request header; arrives in lower case. */
  | { readonly kind: 'header' }
  /** Written `"250ms"`, arrives in milliseconds. */
  | { readonly kind: 'duration' }

export interface SettingsForm {
  readonly about: string
  readonly fields: Readonly<Record<string, Field>>
}

export type SettingValue = string | number | boolean | readonly string[]
export type Settings = Readonly<Record<string, SettingValue>>

/** What `choose` is given for a declared form: exact types instead of a union. */
export type SettingsOf<F extends SettingsForm> = {
  readonly [K in keyof F['fields']]: ValueOf<F['fields'][K]['kind']>
}

type ValueOf<K extends Field['kind']> = K extends 'percent' | 'whole' | 'duration'
  ? number
  : K extends 'flag'
    ? boolean
    : K extends 'versions' | 'texts'
      ? readonly string[]
      : string
