import type { Kit } from './doctor-kit.ts'
import { outcomeOf } from './exchange-failure.ts'
import { type ExchangedToken, exchangedToken } from './exchange-replies.ts'
import { exchangeRequest } from './exchange-requests.ts'
import { CallFailure } from './http-calls.ts'
import { replyText } from './reply-text.ts'
import type { ClientCredential, ExchangeSettings } from './settings.ts'

/** One exchange, as one configuration would make it. */
export type Attempt = {
  readonly settings: ExchangeSettings
  readonly url: string
  readonly credential: ClientCredential
  readonly organizationId: string | null
}

export type Refused = {
  readonly status: number
  readonly words: string
  readonly outcome: ReturnType<typeof outcomeOf>
}

export type Result =
  | { readonly token: ExchangedToken }
  | { readonly failure: CallFailure }
  | Refused

export async function tryExchange(kit: Kit, attempt: Attempt): Promise<Result> {
  const { settings, ...exchange } = attempt
  const reply = await kit.call(await exchangeRequest(settings, exchange))
  if (reply instanceof CallFailure) return { failure: reply }
  const { status } = reply
  const ok = status >= 200 && status < 300
  const token = ok ? exchangedToken(reply) : null
  if (token !== null) return { token }
  const { clientId, clientSecret } = attempt.credential
  const words = replyText(reply.text, [clientSecret, clientId])
  return { status, words, outcome: ok ? 'invalid' : outcomeOf(status) }
}

export const works = async (kit: Kit, attempt: Attempt): Promise<boolean> =>
  'token' in (await tryExchange(kit, attempt))
