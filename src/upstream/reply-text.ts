import { z } from 'zod'

const MAX_LENGTH = 300

const Item = z.looseObject({
  field: z.string().optional().catch(undefined),
  loc: z
    .array(z.union([z.string(), z.number()]))
    .optional()
    .catch(undefined),
  message: z.string().optional().catch(undefined),
  msg: z.string().optional().catch(undefined),
})

const text = z.string().optional().catch(undefined)
const items = z.array(Item).optional().catch(undefined)

/** Every shape in which this API, its older generations, and OAuth servers tell what is wrong. */
const ErrorBody = z.looseObject({
  message: text,
  title: text,
  error: text,
  error_description: text,
  errorId: text,
  detail: z
    .union([z.string(), z.array(Item)])
    .optional()
    .catch(undefined),
  errors: items,
  _embedded: z.looseObject({ errors: items }).optional().catch(undefined),
})

function itemText(item: z.infer<typeof Item>): string {
  const where = item.field ?? item.loc?.join('.')
  return [where, item.message ?? item.msg].filter((part) => part !== undefined).join(': ')
}

function bodyText(body: z.infer<typeof ErrorBody>): string {
  const details = Array.isArray(body.detail) ? body.detail : []
  const parts = [
    body.error,
    body.error_description,
    body.title,
    body.message,
    typeof body.detail === 'string' ? body.detail : undefined,
    ...[...details, ...(body.errors ?? []), ...(body._embedded?.errors ?? [])].map(itemText),
    body.errorId === undefined ? undefined : `errorId ${body.errorId}`,
  ]
  return [...new Set(parts.filter((part) => part !== undefined && part !== ''))].join('; ')
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const JWT_LIKE = /\beyJ[\w-]*(?:\.[\w-]*)*/g
const AFTER_A_TELLING_NAME =
  /\b(bearer|basic|[\w-]*(?:secret|token|password|api[_-]?key))\b(["']?\s*[=:]\s*["']?|\s+(?=\S*\d))([^\s"',;&<>]+)/gi
const LONG_RUN = /[A-Za-z0-9+_~=-]{20,}/g

/** Upstream's words without anything that could be a credential; what is in doubt is masked. */
export function masked(words: string, secrets: readonly string[]): string {
  let result = words
  for (const secret of secrets) {
    if (secret.length >= 4) result = result.replaceAll(secret, '[masked]')
  }
  return result
    .replace(JWT_LIKE, '[masked]')
    .replace(
      AFTER_A_TELLING_NAME,
      (_, name: string, between: string) => `${name}${between}[masked]`,
    )
    .replace(LONG_RUN, (run) =>
      UUID.test(run) || !/\d/.test(run) || !/[A-Za-z]/.test(run) ? run : '[masked]',
    )
}

/** What an error reply says, for the log: one short line, whatever shape it came in. */
export function replyText(body: string, secrets: readonly string[]): string {
  const json = ErrorBody.safeParse(parsed(body))
  const isHtml = /^\s*</.test(body)
  const words = json.success
    ? bodyText(json.data)
    : isHtml
      ? (/<title[^>]*>([^<]*)/i.exec(body)?.[1] ?? 'an HTML page')
      : body
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would break the log's lines
  const oneLine = words.replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ').trim()
  const safe = masked(oneLine, secrets)
  return safe.length > MAX_LENGTH ? `${safe.slice(0, MAX_LENGTH)}…` : safe
}
