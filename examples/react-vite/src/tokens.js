import { createTokenClient } from 'token-broker/client'

/** One for the whole application: whoever needs a token asks this. */
export const tokens = createTokenClient({
  url: __BROKER_URL__,
  customerId: 'acme-rockets',
  credential: async () => (await (await fetch('/session.json')).json()).jwt,
  shareTabs: true,
})
