import type { ApiCalls, Work } from './api-calls.ts'
import { joinUrl } from './endpoints.ts'
import { organizationHeader } from './exchange-requests.ts'
import type { Reply } from './http-calls.ts'
import type { OrgToken } from './org-token.ts'

export type SignedCall = {
  readonly method: 'GET' | 'POST'
  /** Under the API's URL. */
  readonly path: string
  readonly body?: Readonly<Record<string, unknown>>
}

export type SignedReply = { readonly reply: Reply; readonly secrets: readonly string[] }

export type SignedCallSettings = { readonly apiUrl: string; readonly organizationId: string | null }

/** Calls to the API with the org token on them; one that has died meanwhile is replaced, once. */
export function createSignedCalls(
  settings: SignedCallSettings,
  deps: { readonly api: ApiCalls; readonly orgToken: () => OrgToken },
) {
  async function sendWith(
    token: string,
    call: SignedCall,
    work: Omit<Work, 'secrets'>,
  ): Promise<Reply> {
    return deps.api.send(
      {
        method: call.method,
        url: joinUrl(settings.apiUrl, call.path),
        headers: {
          authorization: `Bearer ${token}`,
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...organizationHeader(settings.organizationId),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      },
      { ...work, secrets: [token] },
    )
  }

  return {
    /** @throws BrokerError */
    async send(call: SignedCall, work: Omit<Work, 'secrets'>): Promise<SignedReply> {
      const orgToken = deps.orgToken()
      const first = await orgToken.get(work.deadline)
      const reply = await sendWith(first, call, work)
      if (reply.status !== 401) {
        orgToken.accepted(first)
        return { reply, secrets: [first] }
      }

      const second = await orgToken.refused(first, work.deadline)
      const again = await sendWith(second, call, work)
      if (again.status !== 401) orgToken.accepted(second)
      return { reply: again, secrets: [first, second] }
    },
  }
}

export type SignedCalls = ReturnType<typeof createSignedCalls>
