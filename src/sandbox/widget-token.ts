import { createHash } from 'node:crypto'
import type { WidgetFlaw } from './faults.ts'
import type { SandboxSettings } from './settings.ts'

/** The widget's blob: base64 of a scoped token and of the page to be framed; or the opaque kind. */
export function widgetToken(of: {
  inner: string
  workspaceId: string
  origin: string | null
  page: string
  encoding: SandboxSettings['widgetEncoding']
  flaw: WidgetFlaw | undefined
}): string {
  const { inner, workspaceId, origin, encoding, flaw } = of
  if (flaw === 'bare-jwt') return inner
  if (flaw === 'not-base64') return '*** this is not base64 ***'
  if (encoding === 'opaque') {
    return `opaque-widget-token-${createHash('sha256').update(inner).digest('hex')}`
  }
  if (flaw === 'not-json') return encode('this is not JSON', encoding)

  const page = flaw === 'plain-http-url' ? 'http://widget.example.com/embedded-widget' : of.page
  const allowedOrigin = flaw === 'other-origin' ? 'https://other.example.com' : origin
  const url = new URL(page)
  url.searchParams.set('workspaceId', workspaceId)
  if (allowedOrigin !== null && flaw !== 'no-origin') {
    url.searchParams.set('allowedOrigin', allowedOrigin)
  }

  return encode(
    awkward(
      flaw === 'no-token' ? '' : `"token":${JSON.stringify(inner)},`,
      flaw === 'no-url' ? '"v":"?"' : `"widgetUrl":${JSON.stringify(url.href)}`,
    ),
    encoding,
  )
}

/**
 * The JSON object of the two members, with blanks in it such that its base64 needs padding and has a
 * `/` in it (or a `_`): the encodings differ in nothing else, and a reader that takes them for one
 * another is to fail here rather than at a customer's.
 */
function awkward(first: string, second: string): string {
  // A question mark that is the third of its three bytes ends in six bits that are all ones.
  const place = `{${first}${second}`.indexOf('?') % 3
  const text = `{${first}${' '.repeat(2 - place)}${second}`
  const end = (text.length + 1) % 3 === 0 ? ' }' : '}'
  return `${text}${end}`
}

function encode(text: string, encoding: Exclude<SandboxSettings['widgetEncoding'], 'opaque'>) {
  const padded = Buffer.from(text).toString('base64')
  const alphabet = encoding.startsWith('base64url')
    ? padded.replaceAll('+', '-').replaceAll('/', '_')
    : padded
  return encoding.endsWith('unpadded') ? alphabet.replaceAll('=', '') : alphabet
}
