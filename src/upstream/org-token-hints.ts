import type { ExchangeFailure } from './exchange-failure.ts'
import type { ExchangeSettings } from './settings.ts'

/** The settings that decide about an exchange, by what may be wrong with them. */
export const SETTINGS_OF = {
  'airbyte-cloud': {
    credential: 'AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET',
    place: 'AIRBYTE_TOKEN_URL',
  },
  'airbyte-self-managed': {
    credential: 'AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET',
    place: 'AIRBYTE_URL or AIRBYTE_TOKEN_URL',
  },
  'airbyte-agents': {
    credential: 'AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET',
    place: 'AIRBYTE_API_URL or AIRBYTE_TOKEN_URL',
  },
  'beyond-identity': {
    credential: 'BEYOND_IDENTITY_CLIENT_ID and BEYOND_IDENTITY_CLIENT_SECRET',
    place:
      'BEYOND_IDENTITY_REGION, BEYOND_IDENTITY_TENANT_ID, BEYOND_IDENTITY_REALM_ID or BEYOND_IDENTITY_APPLICATION_ID',
  },
  oauth2: {
    credential: 'OAUTH2_CLIENT_ID and OAUTH2_CLIENT_SECRET',
    place: 'OAUTH2_TOKEN_URL',
  },
} as const satisfies Record<ExchangeSettings['source'], { credential: string; place: string }>

/** Fixed words for an operator: what failed, and the settings to look at. */
export function exchangeHint(source: ExchangeSettings['source'], failure: ExchangeFailure): string {
  const { credential, place } = SETTINGS_OF[source]
  switch (failure.outcome) {
    case 'rejected':
      return `${credential} were refused by the token exchange`
    case 'misplaced':
      return `there is no token exchange at the configured address: see ${place}`
    case 'invalid':
      return `the token exchange answered nothing usable: see ${place}, and this machine’s clock`
    case 'rate_limited':
      return 'the token exchange asks for a pause'
    case 'timeout':
      return `the token exchange does not answer in time: see ${place} and UPSTREAM_TIMEOUT`
    case 'unavailable':
      return failure.status === 500
        ? `the token exchange fails with 500: either it is in trouble, or ${credential} are wrong`
        : `the token exchange cannot be reached, or is in trouble: see ${place}`
  }
}
