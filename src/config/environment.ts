import { readFileSync } from 'node:fs'

export type Environment = Readonly<Record<string, string | undefined>>

export type ResolvedEnvironment = {
  /** Only what is set; an empty variable counts as unset, as container tools pass those on. */
  readonly values: Record<string, string>
  /** The file behind each `NAME_FILE`, by `NAME`, to be watched. */
  readonly files: ReadonlyMap<string, string>
  readonly problems: readonly string[]
}

/** Kubernetes adds these for every service; `REDIS_PORT=tcp://…` is not a slip of the operator. */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)$/

/**
 * Takes our variables out of the environment, each from `NAME` or from the file that `NAME_FILE` names.
 * A variable that begins like ours but is none of them is a mistake: a limit misspelt is a limit not set.
 */
export function resolveEnvironment(
  env: Environment,
  names: readonly string[],
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): ResolvedEnvironment {
  const values: Record<string, string> = {}
  const files = new Map<string, string>()
  const problems: string[] = []

  for (const name of names) {
    const value = env[name] || undefined
    const path = env[`${name}_FILE`] || undefined
    if (value !== undefined && path !== undefined)
      problems.push(`${name}: set both here and by ${name}_FILE`)
    if (value !== undefined) values[name] = value
    if (path === undefined) continue

    files.set(name, path)
    try {
      const text = read(path).replace(/\r?\n$/, '')
      if (text === '') problems.push(`${name}_FILE: the file is empty`)
      else values[name] = text
    } catch (error) {
      problems.push(`${name}_FILE: the file cannot be read (${errorCode(error)})`)
    }
  }

  for (const name of Object.keys(env)) {
    if (!env[name] || known(name, names) || SERVICE_LINK.test(name) || !OURS.test(name)) continue
    const nearest = names.find((other) => distance(name, other) <= 2)
    problems.push(`${name}: there is no such setting${nearest ? `; is ${nearest} meant?` : ''}`)
  }
  return { values, files, problems }
}

const known = (name: string, names: readonly string[]) =>
  names.includes(name) || (name.endsWith('_FILE') && names.includes(name.slice(0, -5)))

/** How our settings of several words begin, where no other program's are likely to begin alike. */
const OURS =
  /^(AIRBYTE|AUDIT|BEYOND_IDENTITY|CACHE|CORS|CUSTOMER|JWT|OAUTH2|ORG_TOKEN|POLICY|RATE_LIMIT|REDIS|SESSION_C|SHUTDOWN|UPSTREAM|WIDGET)_?/

const errorCode = (error: unknown) =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'

/** Edit distance, for "is … meant?". */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
