import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const USAGE = `npm run admin -- <what> [options]

  evict    --customer <id> | --all       forget cached tokens on every replica
  stop     --customer <id> | --all       issue nothing any more, on every replica, until it is lifted
  resume   --customer <id> | --all       lift a stop
  stops                                  what is stopped
  holders  --customer <id>               who holds unexpired tokens of a customer
  explain  --customer <id> (--service <name> | --acts-for <id,id>) [--type scoped|widget] [--origin <origin>]
                                         what would be decided, and why; mints nothing
  config                                 the settings in force; of secrets, whether they are set and since when

It asks the broker at ADMIN_URL (default http://127.0.0.1:<OPS_PORT>) with ADMIN_TOKEN or ADMIN_TOKEN_FILE.`

const OPTIONS = {
  customer: { type: 'string' },
  all: { type: 'boolean' },
  service: { type: 'string' },
  'acts-for': { type: 'string' },
  type: { type: 'string' },
  origin: { type: 'string' },
} as const

type Options = {
  customer?: string | undefined
  all?: boolean | undefined
  service?: string | undefined
  'acts-for'?: string | undefined
  type?: string | undefined
  origin?: string | undefined
}

type Call = { readonly method: 'GET' | 'POST'; readonly path: string; readonly body?: unknown }

/** `null` when the words make no call. */
function callFor(what: string | undefined, options: Options): Call | null {
  const { customer } = options
  const whom =
    options.all && !customer ? { all: true } : customer ? { customer_id: customer } : null
  switch (what) {
    case 'evict':
    case 'stop':
    case 'resume':
      return whom && { method: 'POST', path: `/admin/${what}`, body: whom }
    case 'stops':
    case 'config':
      return { method: 'GET', path: `/admin/${what}` }
    case 'holders':
      return customer
        ? { method: 'POST', path: '/admin/holders', body: { customer_id: customer } }
        : null
    case 'explain': {
      const caller = options.service
        ? { service: options.service }
        : options['acts-for'] !== undefined
          ? { customer_ids: options['acts-for'].split(',') }
          : null
      if (!customer || !caller) return null
      const { type, origin } = options
      const body = {
        caller,
        customer_id: customer,
        ...(type && { type }),
        ...(origin && { allowed_origin: origin }),
      }
      return { method: 'POST', path: '/admin/explain', body }
    }
    default:
      return null
  }
}

/** The exit status: 0 when the broker did it, 1 when it did not, 2 for words that mean nothing. */
export async function runAdmin(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  print: (line: string) => void,
): Promise<number> {
  let call: Call | null = null
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: OPTIONS,
      allowPositionals: true,
    })
    call = positionals.length === 1 ? callFor(positionals[0], values) : null
  } catch {
    // Said below.
  }
  const token =
    env.ADMIN_TOKEN ?? (env.ADMIN_TOKEN_FILE && readFileSync(env.ADMIN_TOKEN_FILE, 'utf8').trim())
  const url = env.ADMIN_URL ?? (env.OPS_PORT && `http://127.0.0.1:${env.OPS_PORT}`)
  if (!call || !token || !url) {
    print(USAGE)
    return 2
  }

  try {
    const reply = await fetch(`${url.replace(/\/+$/, '')}${call.path}`, {
      method: call.method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(10_000),
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
    })
    const text = await reply.text()
    print(text === '' ? 'done' : pretty(text))
    return reply.ok ? 0 : 1
  } catch {
    print(`the broker does not answer at ${new URL(url).origin}: see ADMIN_URL`)
    return 1
  }
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
