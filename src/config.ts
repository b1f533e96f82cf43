import { createHash } from 'node:crypto'
import { type Environment, resolveEnvironment } from './config/environment.ts'
import { nested } from './config/nested.ts'
import { SETTING_NAMES, settingsSchema } from './config/schema.ts'
import { SECRET_SETTINGS } from './config/settings.ts'

export type Config = ReturnType<typeof nested>

export type LoadedConfig =
  | {
      readonly ok: true
      readonly config: Config
      /** Files whose change means to load again. */
      readonly files: readonly string[]
      readonly report: readonly SettingReport[]
    }
  | {
      readonly ok: false
      /** One line a mistake: the setting's name and the rule, never its value. */
      readonly problems: readonly string[]
    }

/** The environment, checked once, in our own words. Reads the files that `NAME_FILE` settings name. */
export function loadConfig(env: Environment, read?: (path: string) => string): LoadedConfig {
  const { values, files, problems } = resolveEnvironment(env, SETTING_NAMES, read)
  const result = settingsSchema.safeParse(values)
  const unreadable = new Set(problems.map((problem) => problem.split(/_FILE|:/, 1)[0]))
  const mistakes = (result.error?.issues ?? [])
    // A file that cannot be read has been told already; that its setting is missing is no second mistake.
    .filter((issue) => !unreadable.has(String(issue.path[0])))
    .map((issue) => `${String(issue.path[0])}: ${issue.message}`)

  if (problems.length > 0 || !result.success)
    return { ok: false, problems: [...new Set([...problems, ...mistakes])] }
  return {
    ok: true,
    config: nested(result.data),
    files: [...files.values()],
    report: reportOf(values, files),
  }
}

/** What an operator may see of a setting: of a secret, whether it is set. */
export type SettingReport = {
  readonly name: string
  readonly from: 'environment' | 'file' | 'default'
  /** `null`: a secret, or not set. */
  readonly value: string | null
  readonly secret: boolean
  /** Tells whether the value has changed, without telling the value; never shown. */
  readonly digest: string
}

const reportOf = (
  values: Record<string, string>,
  files: ReadonlyMap<string, string>,
): SettingReport[] =>
  SETTING_NAMES.map((name) => ({
    name,
    from: files.has(name) ? 'file' : name in values ? 'environment' : 'default',
    value: SECRET_SETTINGS.has(name) ? null : (values[name] ?? null),
    secret: SECRET_SETTINGS.has(name),
    digest: createHash('sha256')
      .update(values[name] ?? '')
      .digest('base64'),
  }))
