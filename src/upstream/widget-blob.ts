import { z } from 'zod'
import { jsonOf } from './exchange-replies.ts'

const Blob = z.looseObject({ token: z.string().min(1), widgetUrl: z.url() })

export type WidgetBlob = {
  /** The scoped token inside: as good as the whole. */
  readonly inner: string
  readonly url: URL
}

/** Standard and URL-safe base64, padded or not. `null`: it is not such a blob. */
export function widgetBlob(token: string): WidgetBlob | null {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(token)) return null
  const parsed = Blob.safeParse(jsonOf(Buffer.from(token, 'base64').toString()))
  return parsed.success ? { inner: parsed.data.token, url: new URL(parsed.data.widgetUrl) } : null
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/** What is wrong with it for the page that asked, in fixed words; `null`: nothing. */
export function widgetFlaw(blob: WidgetBlob, origin: string | null): string | null {
  const { protocol, hostname, searchParams } = blob.url
  if (protocol !== 'https:' && !(protocol === 'http:' && LOOPBACK.test(hostname))) {
    return 'the widget token leads to a page without https'
  }
  // The widget compares the two as strings, and hangs without a word if they differ.
  if (origin !== null && searchParams.get('allowedOrigin') !== origin) {
    return 'the widget token carries another origin than the one asked for'
  }
  return null
}
